"""The options of the combined model."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from facegen_keras.engine.options import (
    AdamOptions,
    FaceModelOptions,
    at_least,
    option,
    shared,
    whole,
)
from facegen_keras.errors import UserError
from facegen_keras.models.options.dcgan import DCGANOptions, check_augmentation, check_loss
from facegen_keras.models.options.vae import VAEOptions


@dataclass(frozen=True)
class CombinedOptions(FaceModelOptions):
    """The options of the combined model: the DCGAN's and the VAE's, and how they are weighed."""

    family: ClassVar[str] = "combined"
    adam: ClassVar[AdamOptions] = DCGANOptions.adam  # for all three networks

    base_channels: int = shared(DCGANOptions, "base_channels")
    beta: float = shared(VAEOptions, "beta")
    feature_weight: float = option(
        1e-3,
        "Weight of the feature reconstruction in the generator's loss, against the adversarial "
        "terms (gamma in the paper's algorithm 1)",
        at_least(0),
    )
    # The third convolution at 64x64: still knows where things are (figure 3 of the paper).
    features_at: int = option(
        8,
        "Side of the discriminator's feature maps that reconstructions are compared in: 4, 8 ... "
        "half of the resolution",
        whole(4),
    )
    warm_up_images: int = option(
        0,
        "Images at the start in which the generator that init_from gives stays as it is: the "
        "encoder learns from its samples, and the discriminator to tell them from photos",
        whole(0),
    )
    loss: Literal["non_saturating", "hinge", "relativistic"] = shared(DCGANOptions, "loss")
    label_smoothing: float = shared(DCGANOptions, "label_smoothing")
    spectral_norm: bool = shared(DCGANOptions, "spectral_norm")
    generator_rate: float = shared(DCGANOptions, "generator_rate")
    augment: str = shared(DCGANOptions, "augment")
    ada_target: float | None = shared(DCGANOptions, "ada_target")
    ada_images: float = shared(DCGANOptions, "ada_images")
    ema_half_life: float = shared(DCGANOptions, "ema_half_life")
    ema_rampup: float = shared(DCGANOptions, "ema_rampup")
    prior: Literal["normal", "mixture"] = shared(VAEOptions, "prior")
    prior_components: int = shared(VAEOptions, "prior_components")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_loss(self.loss, self.label_smoothing)
        check_augmentation(self.augment, self.ada_target)
        sides = [2**k for k in range(2, self.resolution.bit_length() - 1)]
        if self.features_at not in sides:
            raise UserError(
                f"features_at {self.features_at}: the discriminator of {self.resolution}x"
                f"{self.resolution} has feature maps of {', '.join(map(str, sides))} pixels"
            )
