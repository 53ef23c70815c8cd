"""Eigenfaces: the principal components of a set of faces.

Sirovich & Kirby 1987; Turk & Pentland 1991, "Eigenfaces for Recognition". A face is the mean face
plus a weighted sum of eigenfaces; no other linear code of as many numbers comes closer on average.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh

from facegen_keras.data.faces import Faces
from facegen_keras.data.statistics import batches
from facegen_keras.errors import UserError

FACES = 2000  # used by default; the work grows with the square of their number
PIXELS = 1024  # of all faces that are float64 in memory at a time


@dataclass(frozen=True, eq=False)
class Eigenfaces:
    """A linear code of faces.

    Attributes:
        mean: The mean face, float64 `(height, width, 3)`, 0 to 255.
        components: Orthonormal eigenfaces, float32 `(k, height, width, 3)`, the one of largest
            variance first. Their signs are arbitrary; here the largest entry is positive. Beyond
            the rank of the faces (copies among them lower it) they are zero.
        variance: Variance of the faces along each, float64 `(k,)`, squared pixel values.
        total: Variance of all pixels together: what `variance` would sum up to with all
            components.
        count: Number of faces they were computed from.
    """

    mean: np.ndarray
    components: np.ndarray
    variance: np.ndarray
    total: float
    count: int

    @property
    def share(self) -> np.ndarray:
        """Share of the variance that each component explains, `(k,)`."""
        return self.variance / self.total

    def encode(self, faces: Faces | np.ndarray) -> np.ndarray:
        """Coordinates of faces, float32 `(n, k)`: their variance along axis j is `variance[j]`.

        Args:
            faces: `Faces` or uint8 `(n, height, width, 3)`, of the size of the mean face.

        Raises:
            UserError: They have another size.
        """
        return np.concatenate([self._project(images) for images in batches(faces)])

    def decode(self, coordinates: np.ndarray, components: int | None = None) -> np.ndarray:
        """Faces of coordinates, uint8 `(n, height, width, 3)`.

        Args:
            coordinates: `(n, at most k)`.
            components: Use only this many, the first ones; 0 gives the mean face.
        """
        coordinates = np.asarray(coordinates, np.float32)[:, :components]
        flat = self.components.reshape(len(self.components), -1)[: coordinates.shape[1]]
        faces = (coordinates @ flat).reshape(-1, *self.mean.shape) + self.mean
        return np.clip(np.rint(faces), 0, 255).astype(np.uint8)

    def sample(self, seeds: range | list[int]) -> np.ndarray:
        """Draw faces from the Gaussian of this mean, these components and variances.

        Without noise in the other directions, the model of Tipping & Bishop 1999 ("Probabilistic
        Principal Component Analysis") and thereby the linear ancestor of the VAE.

        Args:
            seeds: One per face; a face does not depend on its company.

        Returns:
            uint8 `(n, height, width, 3)`.
        """
        width = len(self.variance)
        z = np.stack([np.random.RandomState(seed).randn(width) for seed in seeds])
        return self.decode(z * np.sqrt(self.variance))

    def explained(self, faces: Faces | np.ndarray) -> np.ndarray:
        """Share of the variance of any faces that the first j + 1 components keep, `(k,)`.

        The variance is taken around the mean face of the training faces, so that the value on
        other faces is one minus the relative squared error of their reconstruction.
        """
        kept, total = np.zeros(len(self.variance)), 0.0
        mean = self.mean.astype(np.float32)
        for images in batches(faces):
            kept += np.square(self._project(images), dtype=np.float64).sum(0)
            total += np.square(images - mean, dtype=np.float64).sum()
        return np.cumsum(kept) / total

    def _project(self, images: np.ndarray) -> np.ndarray:
        if images.shape[1:] != self.mean.shape:
            raise UserError(
                f"faces of shape {images.shape[1:]}: these eigenfaces are {self.mean.shape}"
            )
        flat = (images - self.mean.astype(np.float32)).reshape(len(images), -1)
        return flat @ self.components.reshape(len(self.components), -1).T


def eigenfaces(faces: Faces | np.ndarray, components: int = 256, limit: int = FACES) -> Eigenfaces:
    """Principal components of faces, exact for the faces used.

    With fewer faces than pixels, the eigenvectors of the n by n matrix of inner products give
    those of the covariance (Turk & Pentland 1991, section "Calculating Eigenfaces"): the faces
    stay uint8 in memory, and the work is n^2 times pixels.

    Args:
        faces: `Faces` or uint8 `(n, height, width, 3)`.
        components: How many to keep; n faces have at most n - 1.
        limit: Use at most this many faces, spread evenly over the set.

    Raises:
        UserError: Too few faces for the components.
    """
    used = faces[np.unique(np.linspace(0, len(faces) - 1, min(limit, len(faces))).astype(int))]
    next(batches(used))  # refuses what is no face
    count = len(used)
    most = min(count - 1, used[0].size)
    if not 1 <= components <= most:
        raise UserError(
            f"{components} components of {count} faces; give 1 to {most} components, or more faces"
        )
    flat = used.reshape(count, -1)
    mean = flat.mean(0)
    inner = np.zeros((count, count))
    for start in range(0, flat.shape[1], PIXELS):
        centred = flat[:, start : start + PIXELS] - mean[start : start + PIXELS]
        inner += centred @ centred.T
    values, vectors = eigh(inner, subset_by_index=(count - components, count - 1))
    values, vectors = values[::-1], vectors[:, ::-1]
    real = values > np.finfo(np.float64).eps * np.trace(inner)
    values = np.where(real, values, 0.0)
    vectors = np.where(real, vectors / np.sqrt(np.where(real, values, 1.0)), 0.0)
    found = np.empty((components, flat.shape[1]), np.float32)
    for start in range(0, flat.shape[1], PIXELS):
        centred = flat[:, start : start + PIXELS] - mean[start : start + PIXELS]
        found[:, start : start + PIXELS] = vectors.T @ centred
    largest = np.abs(found).argmax(1)
    found *= np.sign(found[np.arange(components), largest])[:, None]
    shape = used.shape[1:]
    return Eigenfaces(
        mean.reshape(shape),
        found.reshape(components, *shape),
        values / count,
        float(np.trace(inner)) / count,
        count,
    )
