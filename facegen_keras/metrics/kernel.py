"""The kernel distance: KID where the features are the canonical Inception's.

Bińkowski et al. 2018 (arXiv:1801.01401), section 4: the squared maximum mean discrepancy under the
kernel (x'y / dim + 1)^3, in its unbiased form. Unlike FID it has no bias in the number of images,
so it is the better metric below 10,000 images.
"""

import numpy as np

from facegen_keras.errors import UserError
from facegen_keras.metrics.estimate import Estimate
from facegen_keras.metrics.features import check_features


def kernel_distance(
    features_a: np.ndarray,
    features_b: np.ndarray,
    subsets: int = 100,
    subset_size: int | None = None,
    seed: int = 0,
) -> Estimate:
    """Unbiased squared MMD with the cubic kernel, averaged over random subsets.

    Args:
        features_a: Of one side, `(n, dim)`.
        features_b: Of the other side, `(m, dim)`; n and m may differ.
        subsets: Number of random subsets.
        subset_size: Images in each; by default 1000 as in the paper, or half of the smaller set,
            so that the subsets differ and their spread is informative.
        seed: Chooses the subsets.

    Returns:
        The distance (it is unbiased, so it may be slightly negative) with its standard error in
        `.error`: that of all the images, from the spread of the subsets. More subsets make the
        mean more precise but add no images. Where one side has more images, the error is that of
        two sides with the smaller number, so too large.

    Raises:
        UserError: The numbers of features differ, one is not finite, or there are too few images.
    """
    a, b = np.asarray(features_a, np.float32), np.asarray(features_b, np.float32)
    smaller = _check(a, b)
    if subset_size is None:
        subset_size = min(1000, max(2, smaller // 2))
    if subsets < 1 or subset_size < 2:
        raise UserError(f"subsets={subsets}, subset_size={subset_size}; give at least 1 and 2")
    size = min(subset_size, smaller)
    random = np.random.default_rng(seed)
    values = np.empty(subsets)
    for i in range(subsets):
        x = a[random.choice(len(a), size, replace=False)]
        y = b[random.choice(len(b), size, replace=False)]
        values[i] = squared_mmd(x, y)
    error = None
    if subsets > 1 and size < smaller:
        # Subsets of m of the same n images share some: they spread by s^2 (1/m - 1/n), and the mean
        # of all n has s^2 / n. A mean over few subsets adds the square of their spread / subsets.
        error = values.std(ddof=1) * np.sqrt(size / (smaller - size) + 1 / subsets)
    return Estimate(float(values.mean()), error)


def squared_mmd(x: np.ndarray, y: np.ndarray) -> float:
    """Unbiased squared MMD of two sets `(n, dim)` and `(m, dim)` (Gretton et al. 2012, eq. 3)."""
    n, m = len(x), len(y)
    within_x, within_y = _kernel(x, x), _kernel(y, y)
    return float(
        (within_x.sum() - np.trace(within_x)) / (n * (n - 1))
        + (within_y.sum() - np.trace(within_y)) / (m * (m - 1))
        - 2 * _kernel(x, y).mean()
    )


def _kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    # The products in float32: their rounding averages out over a million pairs.
    return ((x @ y.T).astype(np.float64) / x.shape[1] + 1.0) ** 3


def _check(a: np.ndarray, b: np.ndarray) -> int:
    check_features(a, b)
    smaller = min(len(a), len(b))
    if smaller < 2:
        raise UserError(f"{smaller} image(s) on one side; a distance needs at least 2 on each side")
    return smaller
