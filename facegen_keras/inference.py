"""Inference: latents of seeds, pixel ranges, and forward passes in chunks of one size."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from facegen_keras.errors import UserError

if TYPE_CHECKING:
    import keras

Tensor = Any  # as in `backend.types`; what needs Keras imports it when it is called

IMAGES_PER_PASS = 16  # a pass costs as much for one face as for these
PIXELS_PER_PASS = 16 * 128 * 128  # bounds the memory of a pass at high resolutions


def latents(seeds: Iterable[int], latent_dim: int) -> np.ndarray:
    """One latent per seed, from one random stream per seed: float32 (len(seeds), latent_dim).

    A seed always gives the same latent, whatever other seeds are in the batch. The stream is
    NumPy's `RandomState(seed).randn(latent_dim)`, as in the official StyleGAN2 programs, so that a
    seed means the same in both.

    Args:
        seeds: One per latent.
        latent_dim: Length of a latent.

    Raises:
        UserError: A seed is not an integer from 0 to 2**32 - 1, or none is given.
    """
    if not isinstance(seeds, Iterable):
        raise UserError(f"seeds {seeds!r}: expected several, such as range(16) or [{seeds!r}]")
    rows = [np.random.RandomState(_checked_seed(seed)).randn(latent_dim) for seed in seeds]
    if not rows:
        raise UserError("no seeds given; expected at least one")
    return np.stack(rows).astype("float32")


def _checked_seed(seed: object) -> int:
    if not isinstance(seed, int | np.integer) or not 0 <= seed < 2**32:
        raise UserError(f"seed {seed!r}: expected a whole number from 0 to {2**32 - 1}")
    return int(seed)


def to_uint8(images: np.ndarray) -> np.ndarray:
    """Images from [-1, 1] floats to uint8 of the same shape, rounded and clipped; NaN is black."""
    return np.nan_to_num(np.clip(np.rint((images + 1.0) * 127.5), 0, 255)).astype("uint8")


def to_network_range(images: np.ndarray | Tensor) -> Tensor:
    """Convert uint8 [0, 255], an array or a tensor, to a float32 tensor in [-1, 1]."""
    import keras

    return keras.ops.cast(images, "float32") / 127.5 - 1.0


def infer(model: "keras.Model", inputs: np.ndarray | Tensor | list[np.ndarray]) -> np.ndarray:
    """One forward pass in inference mode over an array or a tensor, as float32 NumPy."""
    import keras

    from facegen_keras import backend

    return keras.ops.convert_to_numpy(backend.predict(model, inputs)).astype("float32")


def images_per_pass(resolution: int) -> int:
    """Images of a forward pass of a generator: 16, and fewer from 256x256 on, where the activations
    of 16 images would take gigabytes.
    """
    return max(1, min(IMAGES_PER_PASS, PIXELS_PER_PASS // resolution**2))


def in_chunks(
    function: Callable[[np.ndarray], np.ndarray], inputs: np.ndarray, size: int
) -> np.ndarray:
    """Apply a function to rows in chunks of one size, the last one padded with zeros.

    The order of summation in a kernel may depend on the batch size. With one size, the result of a
    row does not depend on the other rows.

    Args:
        function: From `size` rows to as many results.
        inputs: `(n, ...)`.
        size: Rows per call.
    """
    results = []
    for start in range(0, len(inputs), size):
        part = inputs[start : start + size]
        padding = [(0, size - len(part))] + [(0, 0)] * (inputs.ndim - 1)
        results.append(function(np.pad(part, padding))[: len(part)])
    return np.concatenate(results)
