"""A trained generator, ready to be asked for faces."""

from collections.abc import Iterable
from pathlib import Path

import keras
import numpy as np

from facegen_keras.errors import UserError
from facegen_keras.inference import images_per_pass, in_chunks, infer, latents, to_uint8


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
        self.chunk = images_per_pass(self.resolution)  # rows of every pass, see `in_chunks`

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
