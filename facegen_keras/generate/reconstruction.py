"""Photos through an encoder and back: mean latents and reconstructions."""

import keras
import numpy as np

from facegen_keras.generate.generator import Generator
from facegen_keras.inference import to_uint8
from facegen_keras.models.posterior import encode_photos

ENCODED_AT_A_TIME = 16  # photos


def encode(encoder: keras.Model, faces: np.ndarray) -> np.ndarray:
    """The mean latents of photos: float32 `(n, latent_dim)`.

    Args:
        encoder: As from `load_encoder`.
        faces: uint8 `(n, height, width, 3)`.

    Raises:
        UserError: The photos do not have the encoder's input size.
    """
    statistics = encode_photos(encoder, faces, ENCODED_AT_A_TIME)
    return statistics[:, : statistics.shape[1] // 2]


def reconstruct(generator: Generator, encoder: keras.Model, faces: np.ndarray) -> np.ndarray:
    """Photos encoded and decoded again, through the mean of their posterior.

    Args:
        generator: The decoder.
        encoder: The encoder from the same export.
        faces: uint8 `(n, height, width, 3)`.

    Returns:
        uint8 `(n, height, width, 3)`.

    Raises:
        UserError: The photos do not have the encoder's input size.
    """
    return to_uint8(generator(encode(encoder, faces)))
