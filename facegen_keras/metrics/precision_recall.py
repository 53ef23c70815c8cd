"""Fidelity and variety as separate numbers: precision and recall, density and coverage.

Both draw a ball around every image that reaches its k-th nearest neighbour in its own set. They
count the images of the other set inside.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from facegen_keras.errors import UserError
from facegen_keras.metrics.features import check_features

ROWS = 1024  # rows of distances in memory at a time


@dataclass(frozen=True)
class PrecisionRecall:
    """Fractions in [0, 1], except density, which can exceed 1.

    Attributes:
        precision: Samples inside the photos' balls: how many look like photos.
        recall: Photos inside the samples' balls: how much of the variety the samples have.
        density: Like precision, but counts every ball that a sample is in; outliers weigh less.
        coverage: Photos whose ball contains at least one sample.
        k: Neighbours for precision and recall.
        k_density: Neighbours for density and coverage.
    """

    precision: float
    recall: float
    density: float
    coverage: float
    k: int
    k_density: int


def precision_recall(
    photos: np.ndarray, samples: np.ndarray, k: int = 3, k_density: int = 5
) -> PrecisionRecall:
    """Precision and recall (Kynkäänniemi et al. 2019, arXiv:1904.06991, eq. 2), density and
    coverage (Naeem et al. 2020, arXiv:2002.09797, eq. 2 and 3).

    Args:
        photos: Features of real images `(n, dim)`.
        samples: Features of generated images `(m, dim)`; use as many as photos.
        k: Neighbours of precision and recall; 3 in the paper.
        k_density: Neighbours of density and coverage; 5 in the paper.

    Raises:
        UserError: The numbers of features differ, one is not finite, or there are not more images
            than k.
    """
    photos, samples = np.asarray(photos, np.float32), np.asarray(samples, np.float32)
    check_features(photos, samples)
    if min(k, k_density) < 1 or min(len(photos), len(samples)) <= max(k, k_density):
        raise UserError(
            f"{len(photos)} photos and {len(samples)} samples for k={k} and k_density={k_density}; "
            "k must be at least 1, and both sets larger than it"
        )
    centre = photos.mean(0)  # smaller numbers lose fewer digits in the squared distances
    photos, samples = photos - centre, samples - centre
    photo_radius, photo_radius_density = _radii(photos, k, k_density)
    sample_radius, _ = _radii(samples, k, k)

    precise = np.zeros(len(samples), bool)
    inside = 0
    recalled, covered = np.zeros(len(photos), bool), np.zeros(len(photos), bool)
    for rows, distance in _distances(samples, photos):
        precise[rows] = (distance <= photo_radius).any(1)
        inside += int((distance <= photo_radius_density).sum())
        recalled |= (distance <= sample_radius[rows, None]).any(0)
        covered |= (distance <= photo_radius_density).any(0)
    return PrecisionRecall(
        precision=float(precise.mean()),
        recall=float(recalled.mean()),
        density=inside / (k_density * len(samples)),
        coverage=float(covered.mean()),
        k=k,
        k_density=k_density,
    )


def recalled(photos: np.ndarray, samples: np.ndarray, k: int = 3) -> np.ndarray:
    """Which photos look like some sample: bool `(n,)`, whose mean is the recall.

    With photos and samples exchanged, which samples look like some photo: their mean is the
    precision.

    Args:
        photos: Features `(n, dim)`.
        samples: Features `(m, dim)`, m larger than k.
        k: Neighbours that the ball of a sample reaches to.

    Raises:
        UserError: The numbers of features differ, one is not finite, or there are not more samples
            than k.
    """
    photos, samples = np.asarray(photos, np.float32), np.asarray(samples, np.float32)
    check_features(photos, samples)
    if not 1 <= k < len(samples):
        raise UserError(
            f"k={k} with {len(samples)} samples; expected from 1 to one less than these"
        )
    centre = photos.mean(0)
    (radius,) = _radii(samples - centre, k)
    found = np.zeros(len(photos), bool)
    for rows, distance in _distances(samples - centre, photos - centre):
        found |= (distance <= radius[rows, None]).any(0)
    return found


def nearest(samples: np.ndarray, photos: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest photos of each sample.

    Args:
        samples: Features `(m, dim)`.
        photos: Features `(n, dim)`, n at least k.
        k: Number of neighbours.

    Returns:
        Indices into photos, int `(m, k)`, nearest first, and Euclidean distances `(m, k)`.
    """
    photos, samples = np.asarray(photos, np.float32), np.asarray(samples, np.float32)
    centre = photos.mean(0)
    indices = np.empty((len(samples), k), np.int64)
    distances = np.empty((len(samples), k))
    for rows, squared in _distances(samples - centre, photos - centre):
        found = np.argpartition(squared, k - 1, axis=1)[:, :k]
        values = np.take_along_axis(squared, found, 1)
        order = np.argsort(values, 1, kind="stable")
        indices[rows] = np.take_along_axis(found, order, 1)
        distances[rows] = np.sqrt(np.take_along_axis(values, order, 1))
    return indices, distances


def _radii(features: np.ndarray, *ks: int) -> list[np.ndarray]:
    """Squared distance of each image to its k-th nearest neighbour, itself left out."""
    radii = [np.empty(len(features), np.float32) for _ in ks]
    for rows, distance in _distances(features, features):
        distance[np.arange(distance.shape[0]), np.arange(rows.start, rows.stop)] = np.inf
        part = np.partition(distance, [k - 1 for k in ks], axis=1)
        for radius, k in zip(radii, ks, strict=True):
            radius[rows] = part[:, k - 1]
    return radii


def _distances(a: np.ndarray, b: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Squared Euclidean distances of a's rows to all of b, block by block of a's rows."""
    norms = np.einsum("ij,ij->i", b, b)
    for start in range(0, len(a), ROWS):
        rows = slice(start, min(start + ROWS, len(a)))
        block = a[rows]
        squared = np.einsum("ij,ij->i", block, block)[:, None] - 2 * (block @ b.T) + norms
        yield rows, np.maximum(squared, 0, out=squared)
