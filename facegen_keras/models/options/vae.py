"""The options of the VAE."""

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
from facegen_keras.models.options.dcgan import DCGANOptions

# Convolutions before each pooling of VGG16, as far as a perceptual loss looks: the blocks after
# these know where things are too roughly.
VGG16_BLOCKS = (2, 2, 3)


@dataclass(frozen=True)
class VAEOptions(FaceModelOptions):
    """The options of the VAE."""

    family: ClassVar[str] = "vae"
    # The DCGAN's rate; β1 0.9: there is no game to oscillate.
    adam: ClassVar[AdamOptions] = AdamOptions(learning_rate=2e-4)
    has_validation: ClassVar[bool] = True

    base_channels: int = shared(DCGANOptions, "base_channels")
    beta: float = option(
        1.0, "Weight of the KL divergence; 1 is the evidence lower bound", at_least(0)
    )
    kl_warmup: int = option(
        0, "Images over which that weight grows from 0 (Sønderby et al. 2016)", at_least(0)
    )
    reconstruction: Literal["mse", "bce", "gaussian"] = option(
        "mse",
        "Reconstruction loss, summed over pixels; gaussian fits the variance that mse fixes at 1/2",
    )
    perceptual_weight: float = option(
        0.0,
        "Weight of the error in features of VGG16, each layer as much as all pixels; needs "
        "reconstruction gaussian and pip install '.[perceptual]' (Johnson et al. 2016)",
        at_least(0),
    )
    prior: Literal["normal", "mixture"] = option(
        "normal",
        "Prior of new faces: N(0, I), or a mixture of Gaussians, fitted to codes of photos after "
        "training",
    )
    prior_components: int = option(10, "Gaussians in that mixture", whole(1))

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.perceptual_weight and self.reconstruction != "gaussian":
            raise UserError(
                f"perceptual_weight: weighs features against pixels of fitted variance, and "
                f"reconstruction {self.reconstruction} fits none; use reconstruction gaussian"
            )
