"""The options of StyleGAN2."""

from dataclasses import dataclass
from typing import ClassVar

from facegen_keras.engine.options import (
    FRACTION,
    AdamOptions,
    FaceModelOptions,
    at_least,
    option,
    shared,
    whole,
)
from facegen_keras.errors import UserError
from facegen_keras.models.options.dcgan import DCGANOptions, check_augmentation
from facegen_keras.models.options.schedule import parse_schedule

GAMMA_HEURISTIC = 0.0002  # times resolution² / batch; ADA paper, appendix C and official "auto"
LOW_PRECISION_BLOCKS = 4  # Karras et al. 2020 (ADA), appendix B: the four highest resolutions


@dataclass(frozen=True)
class StyleGAN2Options(FaceModelOptions):
    """The options of StyleGAN2. "Section" and "appendix": of Karras et al. 2020 (StyleGAN2)."""

    family: ClassVar[str] = "stylegan2"
    # Official "stylegan2" and "paper1024"; β1 as in Karras et al. 2018, appendix A.1.
    adam: ClassVar[AdamOptions] = AdamOptions(learning_rate=0.002, beta_1=0.0)

    latent_dim: int = shared(FaceModelOptions, "latent_dim", 512)
    w_dim: int = option(512, "Length of the intermediate latent w", whole(1))
    mapping_layers: int = option(
        8, "Depth of the mapping network; 8 in the paper, 2 in ADA's small runs", whole(1)
    )
    channel_base: int = option(
        16384,
        "Channels are channel_base / resolution, up to channel_max; officially 16384 below 512 "
        "pixels, 32768 from there on",
    )
    channel_max: int = option(512, "Most channels of a layer", whole(1))
    r1_gamma: float | None = shared(
        DCGANOptions, "r1_gamma", None, f"{GAMMA_HEURISTIC} · resolution² / batch_size"
    )
    r1_interval: int = shared(DCGANOptions, "r1_interval")
    path_weight: float = option(
        2.0, "Weight of path length regularization, 0 for none (section 3.2)", at_least(0)
    )
    path_interval: int = option(
        4, "Steps from one path length regularization to the next (lazy regularization)", whole(1)
    )
    style_mixing: float = option(
        0.9, "Fraction of the images whose later layers take the style of a second latent", FRACTION
    )
    augment: str = shared(DCGANOptions, "augment")
    ada_target: float | None = shared(DCGANOptions, "ada_target")
    ada_images: float = shared(DCGANOptions, "ada_images")
    ema_half_life: float = shared(DCGANOptions, "ema_half_life")
    ema_rampup: float = shared(DCGANOptions, "ema_rampup")
    accumulate: int = option(
        1, "Parts that a batch is split into, one after the other, to save memory", whole(1)
    )
    progressive: str = option(
        "",
        "Progressive growing: thousands of images at each resolution below the last, "
        "such as 8:60,16:120,32:200",
    )
    progressive_fade: float = option(
        0.5, "Fraction of the previous resolution's kimg over which a new one fades in", FRACTION
    )
    freeze_discriminator: int = option(
        0,
        "Layers of the discriminator next to the image that are not trained, for transfer "
        "(FreezeD, Mo et al. 2020)",
        whole(0),
    )
    low_precision_blocks: int = option(
        LOW_PRECISION_BLOCKS, "How many of the highest resolutions use `precision`", whole(0)
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.channel_base < self.resolution:
            raise UserError(f"channel_base {self.channel_base}: expected at least resolution")
        check_augmentation(self.augment, self.ada_target)
        parse_schedule(self.progressive, self.resolution, self.progressive_fade)
        layers = 3 * int(self.resolution).bit_length() - 5  # three per block, and fromrgb to out
        if self.freeze_discriminator >= layers:
            raise UserError(
                f"freeze_discriminator {self.freeze_discriminator}: at resolution "
                f"{self.resolution} the discriminator has {layers} layers, and one has to be "
                f"trained; expected at most {layers - 1}"
            )
