"""The options of the DCGAN."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from facegen_keras.augment_policy import parse_policy
from facegen_keras.engine.options import (
    POSITIVE,
    AdamOptions,
    Allowed,
    FaceModelOptions,
    at_least,
    option,
    shared,
    whole,
)
from facegen_keras.errors import UserError


@dataclass(frozen=True)
class DCGANOptions(FaceModelOptions):
    """The options of the DCGAN."""

    family: ClassVar[str] = "dcgan"
    # Section 4 of the paper; a β1 of 0.9 oscillates.
    adam: ClassVar[AdamOptions] = AdamOptions(learning_rate=2e-4, beta_1=0.5)

    latent_dim: int = shared(FaceModelOptions, "latent_dim", 100)  # section 4
    base_channels: int = option(64, "Channels of the layer next to the image", whole(1))
    loss: Literal["non_saturating", "hinge", "relativistic"] = option(
        "non_saturating",
        "Adversarial loss; relativistic compares each photo with a generated image "
        "(Jolicoeur-Martineau 2019)",
    )
    label_smoothing: float = option(
        0.0,
        "One-sided label smoothing: real labels are 1 - label_smoothing (Salimans et al. 2016)",
        Allowed(lambda value: 0 <= value < 0.5, "0 or more and less than 0.5"),
    )
    r1_gamma: float = option(
        0.0, "Weight of the R1 penalty, 0 for none (Mescheder et al. 2018)", at_least(0)
    )
    r2_gamma: float = option(
        0.0, "Weight of the same penalty at generated images, 0 for none (R2)", at_least(0)
    )
    r1_interval: int = option(
        16, "Steps from one penalty R1, or R2, to the next (lazy regularization)", whole(1)
    )
    spectral_norm: bool = option(
        False, "Spectral instead of batch normalization in the discriminator (Miyato et al. 2018)"
    )
    generator_rate: float = option(
        1.0, "The generator's learning rate, as a multiple of learning_rate", POSITIVE
    )
    augment: str = option(
        "",
        "DiffAugment, for small data sets: any of color,translation,cutout (Zhao et al. 2020)",
    )
    ada_target: float | None = option(
        None,
        "Adapt the probability of augmenting to this mean sign of the logits of photos, such as "
        "0.6 (ADA)",
        Allowed(lambda value: -1 < value < 1, "between -1 and 1, such as 0.6"),
        default_text="augment every image",
    )
    ada_images: float = option(
        500_000, "Images in which that probability can go from 0 to 1", POSITIVE
    )
    ema_half_life: float = option(10_000, "Half-life of the averaged weights, in images", POSITIVE)
    ema_rampup: float = option(
        0.05, "That half-life is at most this fraction of the images seen", POSITIVE
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_loss(self.loss, self.label_smoothing)
        check_augmentation(self.augment, self.ada_target)


def check_augmentation(augment: str, ada_target: float | None) -> None:
    """Refuse augmentations that do not exist, and a target for none.

    Raises:
        UserError: Says what to give.
    """
    parse_policy(augment)
    if ada_target is not None and not augment:
        raise UserError(
            "ada_target: adapts the strength of augmentations, and there are none; give "
            'augment, such as "color,translation,cutout"'
        )


def check_loss(loss: str, label_smoothing: float) -> None:
    """Refuse label smoothing for a loss without labels.

    Raises:
        UserError: Says which loss has them.
    """
    if label_smoothing and loss != "non_saturating":
        raise UserError(f"label_smoothing: the {loss} loss has no labels; use loss non_saturating")
