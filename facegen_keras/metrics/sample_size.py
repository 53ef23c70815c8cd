"""A distance against the number of images, and its limit for infinitely many.

The Fréchet distance is biased upward. With many more images than features the bias falls as 1/n:
over 1/n the values lie on a straight line, and its value at 1/n = 0 is the distance of infinitely
many images (Chong & Forsyth 2020, arXiv:1911.07023, section 3). With fewer images than features the
values lie on a curve, and the extrapolated value means nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from facegen_keras.errors import UserError
from facegen_keras.metrics.frechet import frechet_of_features


@dataclass(frozen=True)
class SampleSizeCurve:
    """A distance measured with different numbers of images.

    Attributes:
        counts: Images on each side, `(points,)`.
        values: Mean distance over the repeats, `(points,)`.
        spread: Standard deviation over the repeats, `(points,)`.
        limit: Value at 1/n = 0 of the straight line through the values over 1/n.
        slope: Of that line, in distance times images.
        trusted: Whether every point has more images than features, which the line requires.
    """

    counts: np.ndarray
    values: np.ndarray
    spread: np.ndarray
    limit: float
    slope: float
    trusted: bool


def distance_by_count(
    features_a: np.ndarray,
    features_b: np.ndarray,
    counts: Sequence[int],
    distance: Callable[[np.ndarray, np.ndarray], float] = frechet_of_features,
    repeats: int = 5,
    seed: int = 0,
) -> SampleSizeCurve:
    """Measure the distance between random subsets of two sets, for several subset sizes.

    Args:
        features_a: Of one set, `(n, dim)`.
        features_b: Of the other set, `(m, dim)`.
        counts: Images taken from each side, at least two different numbers.
        distance: Between two sets of features: the Fréchet distance, or `kernel_distance`.
        repeats: Random subsets per size.
        seed: Chooses the subsets.

    Raises:
        UserError: Fewer than two counts, or one below 2 or above the size of the smaller set.
    """
    sizes = np.unique(np.asarray(counts, int))
    most = min(len(features_a), len(features_b))
    if len(sizes) < 2 or sizes[0] < 2 or sizes[-1] > most:
        raise UserError(
            f"counts {sizes.tolist()}: expected at least two numbers from 2 to {most}, the images "
            "of the smaller side"
        )
    random = np.random.default_rng(seed)
    values = np.empty((len(sizes), repeats))
    for row, count in zip(values, sizes, strict=True):
        for i in range(repeats):
            a = features_a[random.permutation(len(features_a))[:count]]
            b = features_b[random.permutation(len(features_b))[:count]]
            row[i] = distance(a, b)
    means = values.mean(1)
    slope, limit = np.polyfit(1.0 / sizes, means, 1)
    spread = values.std(1, ddof=1) if repeats > 1 else np.zeros(len(sizes))
    trusted = bool(sizes[0] > np.shape(features_a)[1])
    return SampleSizeCurve(sizes, means, spread, float(limit), float(slope), trusted)
