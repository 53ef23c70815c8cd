"""A trained generator, ready to be asked for faces."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from facegen_keras.errors import UserError


def latents(seeds: Iterable[int], latent_dim: int) -> np.ndarray:
    """One latent per seed, from one random stream per seed: float32 (len(seeds), latent_dim).

    A seed gives the same latent whatever stands beside it in the batch. The stream is NumPy's
    `RandomState(seed).randn(latent_dim)`, the convention of the StyleGAN2 command lines, so that
    a seed means there what it means here.

    Raises:
        UserError: A seed is not an integer from 0 to 2**32 - 1, or there is none.
    """
    rows = []
    for seed in seeds:
        if not isinstance(seed, int | np.integer) or not 0 <= seed < 2**32:
            raise UserError(f"seed {seed!r}: expected a whole number from 0 to {2**32 - 1}")
        rows.append(np.random.RandomState(int(seed)).randn(latent_dim))
    if not rows:
        raise UserError("no seeds given; expected at least one")
    return np.stack(rows).astype("float32")


def to_uint8(images: np.ndarray) -> np.ndarray:
    """Images from [-1, 1] floats to uint8 of the same shape, rounded and clipped."""
    return np.clip(np.rint((images + 1.0) * 127.5), 0, 255).astype("uint8")


def to_network_range(images: Any) -> Any:
    """uint8 [0, 255], an array or a tensor, to a float32 tensor in [-1, 1], the range of every
    network here."""
    return keras.ops.cast(images, "float32") / 127.5 - 1.0


def infer(model: keras.Model, inputs: Any) -> np.ndarray:
    """One forward pass in inference mode over an array or a tensor, as float32 NumPy."""
    if keras.backend.backend() == "tensorflow":
        # Not `predict_on_batch`: tracing costs more than it saves in a program that draws a few
        # faces, and TensorFlow warns about tracing once several models are in use.
        return keras.ops.convert_to_numpy(model(inputs, training=False)).astype("float32")
    return np.asarray(model.predict_on_batch(inputs), dtype="float32")


def in_chunks(
    function: Callable[[np.ndarray], np.ndarray], inputs: np.ndarray, size: int
) -> np.ndarray:
    """Apply a function to rows in chunks of one size, the last one padded with zeros.

    Kernels may choose another order of summation for another batch size; with one size, a row's
    result does not depend on its company.
    """
    results = []
    for start in range(0, len(inputs), size):
        part = inputs[start : start + size]
        padding = [(0, size - len(part))] + [(0, 0)] * (inputs.ndim - 1)
        results.append(function(np.pad(part, padding))[: len(part)])
    return np.concatenate(results)


class Generator:
    """A generator with what is known about it.

    Attributes:
        model: The Keras model, (batch, latent_dim) to (batch, height, width, 3).
        family: "vae", "dcgan", "combined", "stylegan2", or "unknown".
        resolution: Pixels along one side of an image.
        latent_dim: Length of the latent z.
        metadata: What was written into the file at export; empty for a foreign file.
        path: The file it was read from, or None.
    """

    chunk = 16  # rows of every forward pass (see `in_chunks`): one face costs as much as these

    def __init__(
        self,
        model: keras.Model,
        family: str = "unknown",
        metadata: dict | None = None,
        path: Path | None = None,
    ) -> None:
        self.model = model
        self.family = family
        self.metadata = metadata or {}
        self.path = path
        self.latent_dim = int(self._latent_shape()[-1])
        self.resolution = int(model.output_shape[1])

    def __call__(self, z: np.ndarray, **options) -> np.ndarray:
        """Images of latents: float32 (n, height, width, 3), about [-1, 1], not clipped.

        Args:
            z: Latents (n, latent_dim), n at least 1.
            **options: What the family offers at call time; the plain families offer nothing.

        Raises:
            UserError: The latents have another shape, or an option is unknown.
        """
        z = np.asarray(z, dtype="float32")
        if z.ndim != 2 or z.shape[1] != self.latent_dim or not len(z):
            raise UserError(f"latents of shape {z.shape}: expected (n, {self.latent_dim}), n >= 1")
        return in_chunks(lambda part: self.forward(part, **options), z, self.chunk)

    def sample(self, seeds: Iterable[int] = range(16), **options) -> np.ndarray:
        """Faces of seeds: uint8 (n, height, width, 3), the same for a seed in any company."""
        return to_uint8(self(latents(seeds, self.latent_dim), **options))

    def forward(self, z: np.ndarray, **options) -> np.ndarray:
        """One pass in inference mode over exactly `chunk` latents."""
        if options:
            raise UserError(f"{', '.join(options)}: not an option of a {self.family} generator")
        return infer(self.model, z)

    def _latent_shape(self) -> tuple:
        shape = self.model.input_shape
        return shape[0] if isinstance(shape, list) else shape
