"""A trained generator, ready to be asked for faces."""

from collections.abc import Iterable
from pathlib import Path

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

    # Every forward pass has exactly this many rows (the last one is padded): kernels may choose
    # another order of summation for another batch size, and then a seed would not be one face.
    chunk = 16

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
        return self._in_chunks(z, **options)

    def sample(self, seeds: Iterable[int] = range(16), **options) -> np.ndarray:
        """Faces of seeds: uint8 (n, height, width, 3), the same for a seed in any company."""
        return to_uint8(self(latents(seeds, self.latent_dim), **options))

    def _in_chunks(self, inputs: np.ndarray, **options) -> np.ndarray:
        """Run `forward` over rows in chunks of one size and cut the padding off."""
        images = []
        for start in range(0, len(inputs), self.chunk):
            part = inputs[start : start + self.chunk]
            padding = [(0, self.chunk - len(part))] + [(0, 0)] * (inputs.ndim - 1)
            images.append(self.forward(np.pad(part, padding), **options)[: len(part)])
        return np.concatenate(images)

    def forward(self, z: np.ndarray, **options) -> np.ndarray:
        """One pass in inference mode over exactly `chunk` latents."""
        if options:
            raise UserError(f"{', '.join(options)}: not an option of a {self.family} generator")
        return np.asarray(self.model.predict_on_batch(z), dtype="float32")

    def _latent_shape(self) -> tuple:
        shape = self.model.input_shape
        return shape[0] if isinstance(shape, list) else shape
