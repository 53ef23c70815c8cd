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
from facegen_keras.models.options.dcgan import DCGANOptions


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
    prior: Literal["normal", "mixture"] = option(
        "normal",
        "Prior of new faces: N(0, I), or a mixture of Gaussians, fitted to codes of photos after "
        "training",
    )
    prior_components: int = option(10, "Gaussians in that mixture", whole(1))
