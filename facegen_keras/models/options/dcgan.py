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
    loss: Literal["non_saturating", "hinge"] = option("non_saturating", "Adversarial loss")
    label_smoothing: float = option(
        0.0,
        "One-sided label smoothing: real labels are 1 - label_smoothing (Salimans et al. 2016)",
        Allowed(lambda value: 0 <= value < 0.5, "0 up to, not with, 0.5"),
    )
    r1_gamma: float = option(
        0.0, "Weight of the R1 penalty, 0 for none (Mescheder et al. 2018)", at_least(0)
    )
    r1_interval: int = option(
        16, "Steps from one R1 penalty to the next (lazy regularization)", whole(1)
    )
    spectral_norm: bool = option(
        False, "Spectral instead of batch normalization in the discriminator (Miyato et al. 2018)"
    )
    augment: str = option(
        "",
        "DiffAugment, for small data sets: any of color,translation,cutout (Zhao et al. 2020)",
    )
    ema_half_life: float = option(10_000, "Half-life of the averaged weights, in images", POSITIVE)
    ema_rampup: float = option(
        0.05, "That half-life is at most this fraction of the images seen", POSITIVE
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_adversarial(self.loss, self.label_smoothing, self.augment)


def check_adversarial(loss: str, label_smoothing: float, augment: str) -> None:
    """Refuse options that exclude each other.

    Raises:
        UserError: They do, or `augment` names an augmentation that does not exist.
    """
    parse_policy(augment)
    if label_smoothing and loss == "hinge":
        raise UserError("label_smoothing: the hinge loss has no labels; use loss non_saturating")
