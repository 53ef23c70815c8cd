"""How many channels the networks have at each resolution; needs no Keras."""

import math

MAX_CHANNEL_FACTOR = 8  # 512 channels at 4x4 with base_channels=64; DCGAN paper, figure 1


def channel_widths(resolution: int, base_channels: int) -> list[int]:
    """Channels from the image inwards, doubling down to 4x4 and capped."""
    return [
        base_channels * min(2**k, MAX_CHANNEL_FACTOR) for k in range(int(math.log2(resolution)) - 2)
    ]


def channel_counts(
    resolution: int, channel_base: int = 32768, channel_max: int = 512
) -> dict[int, int]:
    """Channels per resolution, `min(channel_base / resolution, channel_max)`, from 4×4 on.

    32768 and 512 are those of the official configurations from 512×512 on, 16384 and 512 of the
    smaller ones.
    """
    sizes = [2**k for k in range(2, int(math.log2(resolution)) + 1)]
    return {size: min(channel_base // size, channel_max) for size in sizes}
