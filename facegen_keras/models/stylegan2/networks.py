"""StyleGAN2: the networks (Karras et al. 2020, "Analyzing and Improving the Image Quality of
StyleGAN"), with skip connections in the generator and residual ones in the discriminator.

They are functional models of the layers in `equalized_layers` and `modulated_layers`, named as in
the official implementation (`b8_conv0` is its `b8.conv0`), and compute the same numbers from the
same weights: see `load_official`. `family` trains them.
"""

import math
from collections.abc import Mapping

import keras

from facegen_keras.backend.types import Tensor
from facegen_keras.models.options.schedule import LOWEST
from facegen_keras.models.options.stylegan2 import LOW_PRECISION_BLOCKS
from facegen_keras.models.stylegan2.equalized_layers import (
    EqualizedConv,
    EqualizedDense,
    FilteredUpsampling,
    MinibatchStddev,
    PixelNorm,
)
from facegen_keras.models.stylegan2.modulated_layers import (
    LearnedConstant,
    StyledConv,
    ToRGB,
    TruncatedStyles,
)
from facegen_keras.models.widths import channel_counts
from facegen_keras.resolution import check_resolution

MAPPING_LR = 0.01  # Karras et al. 2019, appendix C


def style_count(resolution: int) -> int:
    """Number of styles w of a generator: two per resolution."""
    return 2 * (int(math.log2(resolution)) - 1)


def noise_size(resolution: int) -> int:
    """Number of noise values of one image, all layers together."""
    sizes = [2**k for k in range(2, int(math.log2(resolution)) + 1)]
    return sum((1 if size == LOWEST else 2) * size * size for size in sizes)


def build_mapping(
    latent_dim: int = 512,
    w_dim: int = 512,
    layers: int = 8,
    hidden: int | None = None,
    lr_multiplier: float = MAPPING_LR,
) -> keras.Model:
    """The mapping network: z `(batch, latent_dim)` to w `(batch, w_dim)`.

    Args:
        latent_dim: Length of z.
        w_dim: Length of w.
        layers: Dense layers.
        hidden: Width of all but the last; `w_dim` by default.
        lr_multiplier: Their learning rate relative to the other layers.
    """
    z = keras.Input((latent_dim,), name="z")
    x = PixelNorm(name="normalize")(z)
    for i in range(layers):
        units = w_dim if i == layers - 1 else hidden or w_dim
        x = EqualizedDense(units, activate=True, lr_multiplier=lr_multiplier, name=f"fc{i}")(x)
    return keras.Model(z, x, name="mapping")


def build_synthesis(
    resolution: int,
    w_dim: int = 512,
    channels: Mapping[int, int] | None = None,
    noise_mode: str = "const",
    clamp: float | None = None,
    low_precision: str = "float32",
    low_precision_blocks: int = LOW_PRECISION_BLOCKS,
) -> keras.Model:
    """The synthesis network: w `(batch, layers, w_dim)` to images `(batch, height, width, 3)`.

    Args:
        resolution: Height and width, a power of two.
        w_dim: Length of w.
        channels: Feature maps per resolution; `channel_counts(resolution)` by default.
        noise_mode: "const", "none", or "input": then the model takes `[w, noise]`, noise from
            N(0, 1) of shape `(batch, noise_size(resolution))`, the lowest layer's first.
        clamp: Largest magnitude of a layer's output; 256 in official 16-bit models.
        low_precision: Dtype policy of the highest resolutions, such as "mixed_bfloat16".
        low_precision_blocks: How many resolutions use it; never the lowest.
    """
    check_resolution(resolution, lowest=2 * LOWEST)
    channels = channels or channel_counts(resolution)
    w = keras.Input((style_count(resolution), w_dim), name="w")
    noise = keras.Input((noise_size(resolution),), name="noise")
    noise_inputs = [noise] if noise_mode == "input" else []
    offset, index, image = 0, 0, None

    def styled(name: str, size: int, x: Tensor, up: int, policy: str) -> Tensor:
        nonlocal offset, index
        layer = StyledConv(
            channels[size], index, up, noise_mode, offset, clamp, dtype=policy, name=name
        )
        offset, index = offset + size * size, index + 1
        return layer(x, w, *noise_inputs)

    x = LearnedConstant(channels[LOWEST], name="b4")(w)
    for size in channels:
        policy = _policy(size, resolution, low_precision, low_precision_blocks)
        if size > LOWEST:
            x = styled(f"b{size}_conv0", size, x, 2, policy)
        x = styled(f"b{size}_conv1", size, x, 1, policy)
        # The RGB layer shares its style with the first convolution of the next resolution.
        rgb = ToRGB(3, index, clamp, dtype=policy, name=f"b{size}_torgb")(x, w)
        if image is not None:
            image = FilteredUpsampling(name=f"b{size}_upsample")(image)
            rgb = keras.layers.Add(name=f"b{size}_skip")([image, rgb])
        image = rgb
    return keras.Model([w, *noise_inputs] if noise_inputs else w, image, name="synthesis")


def build_generator(
    resolution: int,
    latent_dim: int = 512,
    w_dim: int = 512,
    mapping_layers: int = 8,
    channels: Mapping[int, int] | None = None,
    noise_mode: str = "const",
    clamp: float | None = None,
    low_precision: str = "float32",
    low_precision_blocks: int = LOW_PRECISION_BLOCKS,
) -> keras.Model:
    """The whole generator: z `(batch, latent_dim)` to images `(batch, height, width, 3)`.

    Its parts are the layers `mapping`, `truncation` (with w_avg) and `synthesis`.
    """
    mapping = build_mapping(latent_dim, w_dim, mapping_layers)
    synthesis = build_synthesis(
        resolution, w_dim, channels, noise_mode, clamp, low_precision, low_precision_blocks
    )
    return join_generator(mapping, synthesis)


def join_generator(
    mapping: keras.Model, synthesis: keras.Model, truncation: TruncatedStyles | None = None
) -> keras.Model:
    """One functional model of a mapping and a synthesis network, sharing their weights.

    Args:
        mapping: From `build_mapping`.
        synthesis: From `build_synthesis`.
        truncation: The layer between them, with w_avg; a new one by default.
    """
    z = keras.Input((mapping.input_shape[-1],), name="z")
    layers = synthesis.inputs[0].shape[1]
    styles = (truncation or TruncatedStyles(layers, name="truncation"))(mapping(z))
    if len(synthesis.inputs) == 1:
        return keras.Model(z, synthesis(styles), name="generator")
    noise = keras.Input(synthesis.inputs[1].shape[1:], name="noise")
    return keras.Model([z, noise], synthesis([styles, noise]), name="generator")


def build_discriminator(
    resolution: int,
    channels: Mapping[int, int] | None = None,
    group_size: int = 4,
    statistics: int = 1,
    clamp: float | None = None,
    low_precision: str = "float32",
    low_precision_blocks: int = LOW_PRECISION_BLOCKS,
) -> keras.Model:
    """The residual discriminator: images `(batch, height, width, 3)` to logits `(batch, 1)`.

    Args:
        resolution: Height and width, a power of two.
        channels: Feature maps per resolution; `channel_counts(resolution)` by default.
        group_size: Of the minibatch standard deviation; 0 leaves it out.
        statistics: Maps it appends.
        clamp: As in `build_synthesis`.
        low_precision: As in `build_synthesis`.
        low_precision_blocks: As in `build_synthesis`.
    """
    check_resolution(resolution, lowest=2 * LOWEST)
    channels = channels or channel_counts(resolution)
    images = keras.Input((resolution, resolution, 3), name="images")
    residual_gain = math.sqrt(0.5)  # keeps the variance of a sum of two branches
    sizes = sorted(channels, reverse=True)
    policy = _policy(resolution, resolution, low_precision, low_precision_blocks)
    first = EqualizedConv(
        channels[resolution], 1, clamp=clamp, dtype=policy, name=f"b{resolution}_fromrgb"
    )
    x = first(images)
    for size in sizes[:-1]:
        policy = _policy(size, resolution, low_precision, low_precision_blocks)
        after = channels[size // 2]
        skip = EqualizedConv(
            after,
            1,
            down=2,
            gain=residual_gain,
            activate=False,
            use_bias=False,
            dtype=policy,
            name=f"b{size}_skip",
        )(x)
        x = EqualizedConv(channels[size], 3, clamp=clamp, dtype=policy, name=f"b{size}_conv0")(x)
        x = EqualizedConv(
            after,
            3,
            down=2,
            gain=residual_gain,
            clamp=clamp,
            dtype=policy,
            name=f"b{size}_conv1",
        )(x)
        x = keras.layers.Add(dtype=policy, name=f"b{size}_residual")([skip, x])
    if group_size:
        x = MinibatchStddev(group_size, statistics, name="b4_mbstd")(x)
    x = EqualizedConv(channels[LOWEST], 3, clamp=clamp, name="b4_conv")(x)
    x = EqualizedConv(channels[LOWEST], LOWEST, padding="valid", name="b4_fc")(x)
    x = keras.layers.Flatten(name="b4_flatten")(x)
    logits = EqualizedDense(1, name="b4_out")(x)
    return keras.Model(images, logits, name="discriminator")


def _policy(size: int, resolution: int, low_precision: str, blocks: int) -> str:
    """The dtype policy of the layers of one size: `low_precision` in the highest `blocks` of them,
    but never in the lowest.
    """
    lowest = max(resolution >> (blocks - 1), 2 * LOWEST) if blocks else 2 * resolution
    return low_precision if size >= lowest else "float32"
