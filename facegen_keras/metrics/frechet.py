"""The Fréchet distance between two Gaussians, real and finite whatever the rank.

Heusel et al. 2017 (arXiv:1706.08500), eq. 6, after Dowson & Landau 1982:
|m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)).

The trace of the root is the sum of the square roots of the eigenvalues of C_a C_b. With C_a = L L'
these are the eigenvalues of the symmetric L' C_b L, so no general matrix root is needed (which is
slow, and complex where rounding makes it so). L is a pivoted Cholesky factor: it has as many
columns as C_a has rank, so that fewer images than features are no special case, only a cheaper one.
Pivoting also sorts the product by size, from large to small, and on such matrices the symmetric
eigensolver keeps the digits of small eigenvalues, whose roots would otherwise be mostly rounding.
"""

import warnings

import numpy as np
from scipy.linalg import lapack

from facegen_keras.errors import UserError
from facegen_keras.metrics.statistics import Statistics, check_comparable


def frechet_distance(a: Statistics, b: Statistics) -> float:
    """Fréchet distance (FID where the features are the canonical Inception's).

    Args:
        a, b: Statistics under one extractor; the order does not matter.

    Returns:
        The squared distance, at least 0; 0 for equal statistics.

    Raises:
        UserError: The statistics belong to different extractors, weights or resize protocols.
    """
    check_comparable(a, b)
    difference = a.mean - b.mean
    variance = float(np.trace(a.covariance) + np.trace(b.covariance))
    for stats in (a, b):
        if stats.n is not None and stats.n <= stats.dim:
            warnings.warn(
                f"{stats.n} images for {stats.dim} features: the covariance is rank-deficient and "
                "the Fréchet distance is far too high; use more images, or the kernel distance",
                UserWarning,
                stacklevel=2,
            )
            break
    trace = trace_of_root(a.covariance, b.covariance)
    return max(float(difference @ difference + variance - 2.0 * trace), 0.0)


def trace_of_root(a: np.ndarray, b: np.ndarray) -> float:
    """tr((a b)^(1/2)) of two symmetric positive semidefinite matrices `(dim, dim)`, float64."""
    left, right = _factor(a), _factor(b)
    if right.shape[1] < left.shape[1]:  # the smaller rank: fewer eigenvalues, none of them zero
        left, b = right, a
    if left.shape[1] == 0:
        return 0.0
    symmetric = left.T @ (b @ left)
    values = np.linalg.eigvalsh((symmetric + symmetric.T) / 2)
    return float(np.sqrt(np.maximum(values, 0.0)).sum())


def _factor(matrix: np.ndarray) -> np.ndarray:
    """L `(dim, rank)` with L L' = matrix, by Cholesky with pivoting (LAPACK dpstrf)."""
    matrix = (matrix + matrix.T) / 2
    packed, pivots, rank, info = lapack.dpstrf(matrix, lower=1)
    if info < 0:
        raise UserError("a covariance that is no matrix of finite numbers; extract features again")
    factor = np.zeros((len(matrix), rank))
    factor[pivots - 1] = np.tril(packed)[:, :rank]
    return factor
