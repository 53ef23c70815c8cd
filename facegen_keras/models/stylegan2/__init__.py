"""StyleGAN2: networks, training, and official weights.

The functions below build the networks; `family` trains them.
"""

from facegen_keras.engine.transfer import copy_weights
from facegen_keras.models.stylegan2.networks import (
    MAPPING_LR,
    build_discriminator,
    build_generator,
    build_mapping,
    build_synthesis,
    join_generator,
    noise_size,
    style_count,
)
from facegen_keras.models.stylegan2.official_names import load_official, official_networks
from facegen_keras.models.widths import channel_counts

__all__ = [
    "MAPPING_LR",
    "build_discriminator",
    "build_generator",
    "build_mapping",
    "build_synthesis",
    "channel_counts",
    "copy_weights",
    "join_generator",
    "load_official",
    "noise_size",
    "official_networks",
    "style_count",
]
