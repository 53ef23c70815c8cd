"""Standard errors of metrics: how much a value would change if other images had been drawn.

The bootstrap does not work here: drawing with replacement repeats images, which lowers the rank of
a covariance and shrinks the balls of precision and recall (to a radius of zero around an image with
k copies of itself). Halves drawn without replacement hold every image once, and the spread of a
mean over halves of n images is the standard error of the mean of all n: Var = s^2 (1/m - 1/n) with
m = n / 2 (the delete-d jackknife with d = n / 2, Shao & Wu 1989, Annals of Statistics 17).
"""

import warnings
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from facegen_keras.errors import UserError
from facegen_keras.metrics.estimate import Estimate
from facegen_keras.metrics.frechet import frechet_of_features
from facegen_keras.metrics.precision_recall import precision_recall
from facegen_keras.metrics.result import Number

REPEATS = 40  # the error of a standard error is then 11 %
FEWEST = 4  # images of which halves make sense


def half_sample_error(
    statistic: Callable[..., float],
    *sets: np.ndarray,
    repeats: int = REPEATS,
    seed: int = 0,
) -> Estimate:
    """A statistic of sets of images with its standard error from halves of each set.

    The value is that of the whole sets. The bias of small sets (the Fréchet distance of a half is
    larger than that of the whole) is neither corrected nor included in the error.

    Args:
        statistic: A function of one array per set, to a number.
        *sets: Features `(n, dim)`; rows are drawn.
        repeats: Number of halves.
        seed: Chooses the halves.

    Returns:
        The statistic of the whole sets with its standard error in `.error`.

    Raises:
        UserError: A set of fewer than four images, or fewer than two repeats.
    """
    values = half_samples(lambda *halves: [statistic(*halves)], *sets, repeats=repeats, seed=seed)
    return Estimate(float(statistic(*sets)), float(values[:, 0].std(ddof=1)))


def half_samples(
    statistics: Callable[..., list[float]],
    *sets: np.ndarray,
    repeats: int = REPEATS,
    seed: int = 0,
) -> np.ndarray:
    """Several statistics on the same halves: float64 `(repeats, statistics)`.

    Args:
        statistics: A function of one array per set, to a fixed number of numbers.
        *sets: Features `(n, dim)`; rows are drawn.
        repeats: Number of halves.
        seed: Chooses the halves.

    Raises:
        UserError: A set of fewer than four images, or fewer than two repeats.
    """
    smallest = min(map(len, sets), default=0)
    if smallest < FEWEST or repeats < 2:
        raise UserError(
            f"{smallest} images and {repeats} halves for a standard error; give at least {FEWEST} "
            "and 2"
        )
    random = np.random.default_rng(seed)
    rows = []
    for _ in range(repeats):
        halves = (random.permutation(len(x))[: len(x) // 2] for x in sets)
        rows.append(statistics(*(x[np.sort(half)] for x, half in zip(sets, halves, strict=True))))
    return np.asarray(rows, np.float64)


def with_errors(
    numbers: dict[str, Number], photos: np.ndarray, samples: np.ndarray, repeats: int, seed: int
) -> dict[str, Number]:
    """Add standard errors to the Fréchet distance, precision, recall, density and coverage.

    Args:
        numbers: Key to number, as `evaluate` names them.
        photos: Features of the photos, `(n, dim)`.
        samples: Features of the samples, `(m, dim)`.
        repeats: Number of halves.
        seed: Chooses the halves.
    """
    fractions = [key for key in ("precision", "recall", "density", "coverage") if key in numbers]
    distance = [key for key in ("fid", "fd") if key in numbers]

    def measure(x: np.ndarray, y: np.ndarray) -> list[float]:
        values = [frechet_of_features(x, y)] if distance else []
        if fractions:
            k, k_density = (_neighbours(numbers["precision"], key) for key in ("k", "k_density"))
            most = min(len(x), len(y)) - 1
            halves = precision_recall(x, y, min(k, most), min(k_density, most))
            values += [getattr(halves, key) for key in fractions]
        return values

    with warnings.catch_warnings():  # `evaluate` has already warned
        warnings.filterwarnings("ignore", message=".*rank-deficient.*", category=UserWarning)
        errors = half_samples(measure, photos, samples, repeats=repeats, seed=seed).std(0, ddof=1)
    found = dict(zip([*distance, *fractions], errors.tolist(), strict=True))
    return {
        key: replace(
            number,
            error=found[key],
            protocol={**number.protocol, "error_from": f"{repeats} halves"},
        )
        if key in found
        else number
        for key, number in numbers.items()
    }


def _neighbours(number: Number, key: str) -> int:
    """A number of neighbours in the protocol of a precision."""
    value = number.protocol[key]
    if not isinstance(value, int):
        raise UserError(f"{number.label}: {key} {value!r} in its protocol; expected a whole number")
    return value
