"""What the metrics ask of images and of models: any object that has these members will do."""

from collections.abc import Iterable
from typing import Protocol, Unpack, runtime_checkable

import numpy as np

from facegen_keras.generate.generator import SamplingOptions


@runtime_checkable
class ImageSet(Protocol):
    """Images that are read by their index: `Faces`, or uint8 `(n, height, width, 3)`.

    A set may also have a `fingerprint`, by which what is measured on it is cached, and a
    `resolution`.
    """

    def __len__(self) -> int:
        """Number of images."""

    def __getitem__(self, index: int | slice | np.ndarray, /) -> np.ndarray:
        """One image, or several as uint8 `(n, height, width, 3)`."""


# Batches are uint8 `(batch, height, width, 3)`.
Images = ImageSet | Iterable[np.ndarray]


@runtime_checkable
class Sampler(Protocol):
    """What faces of seeds are drawn from, such as a `Generator`."""

    @property
    def resolution(self) -> int:
        """Side of an image, in pixels."""

    def sample(self, seeds: Iterable[int], **options: Unpack[SamplingOptions]) -> np.ndarray:
        """Faces of seeds: uint8 `(n, height, width, 3)`."""


@runtime_checkable
class LatentModel(Protocol):
    """What turns latents into images, such as a `Generator`."""

    @property
    def latent_dim(self) -> int:
        """Length of the latent z."""

    def __call__(self, z: np.ndarray, /) -> np.ndarray:
        """Images of latents `(n, latent_dim)`: float32 `(n, height, width, 3)`, about [-1, 1]."""
