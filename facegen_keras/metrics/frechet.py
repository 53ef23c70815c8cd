"""The Fréchet distance between two Gaussians, real and finite whatever the rank.

Heusel et al. 2017 (arXiv:1706.08500), eq. 6, after Dowson & Landau 1982:
|m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)).

The trace of the root is the sum of the square roots of the eigenvalues of C_a C_b. With C_a = L L'
these are the eigenvalues of the symmetric L' C_b L. A general matrix root would be slow, and
rounding would make it complex. L is a pivoted Cholesky factor: it has as many columns as C_a has
rank, so fewer images than features are not a special case, only a cheaper one. Pivoting also sorts
the product by size, from large to small, and on such matrices the symmetric eigensolver keeps the
digits of small eigenvalues, whose roots would otherwise be mostly rounding.
"""

import warnings

import numpy as np
from scipy.linalg import blas, lapack

from facegen_keras.errors import UserError
from facegen_keras.metrics.feature_statistics import Statistics, check_comparable
from facegen_keras.metrics.features import check_features


def frechet_distance(a: Statistics, b: Statistics) -> float:
    """Fréchet distance (FID where the features are the canonical Inception's).

    Args:
        a: Statistics of one side.
        b: Statistics of the other side under the same extractor; the order does not matter.

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


def frechet_of_features(a: np.ndarray, b: np.ndarray) -> float:
    """Fréchet distance of two sets of features, fast for many small sets.

    It equals `frechet_distance` of their `Statistics`, without its warning. With fewer
    images than features the covariances are never formed: for C_a = A'A and C_b = B'B the trace of
    the root is the sum of the singular values of A B', a matrix of images by images.

    Args:
        a: Features of one side, `(n, dim)`.
        b: Features of the other side, `(m, dim)`; n and m may differ.

    Raises:
        UserError: The numbers of features differ, one is not finite, or a side has fewer than two
            images.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    check_features(a, b)
    if len(a) > a.shape[1] or len(b) > b.shape[1] or min(len(a), len(b)) < 2:
        return frechet_distance(Statistics.from_features(a), Statistics.from_features(b))
    difference = a.mean(0) - b.mean(0)
    a = (a - a.mean(0)) / np.sqrt(len(a) - 1)
    b = (b - b.mean(0)) / np.sqrt(len(b) - 1)
    trace = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    variance = np.einsum("ij,ij->", a, a) + np.einsum("ij,ij->", b, b)
    return max(float(difference @ difference + variance - 2.0 * trace), 0.0)


def trace_of_root(a: np.ndarray, b: np.ndarray) -> float:
    """tr((a b)^(1/2)) of two symmetric positive semidefinite matrices `(dim, dim)`, float64."""
    factor, order = _cholesky(a)
    rank = factor.shape[1]
    values = _eigenvalues(factor, order, b)
    noise = np.finfo(np.float64).eps * rank * values.max(initial=0.0)
    if (values < noise).any():
        # Rounding turns zeros into small numbers whose roots matter. If b has the smaller rank, its
        # factor leaves them out.
        other, other_order = _cholesky(b)
        if other.shape[1] < rank:
            values = _eigenvalues(other, other_order, a)
    return float(np.sqrt(np.maximum(values, 0.0)).sum())


def _cholesky(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lower L `(dim, rank)` and an order with L L' = matrix[order][:, order] (LAPACK dpstrf)."""
    factor, pivots, rank, info = lapack.dpstrf(matrix.T, lower=1)
    if info < 0:
        raise UserError(
            "a covariance that is not a matrix of finite numbers; extract the features again"
        )
    return np.asfortranarray(np.tril(factor)[:, :rank]), pivots - 1


def _eigenvalues(factor: np.ndarray, order: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Eigenvalues of L' matrix[order][:, order] L, ascending."""
    if factor.shape[1] == 0:
        return np.zeros(0)
    ordered = matrix[np.ix_(order, order)].T
    if factor.shape[0] == factor.shape[1]:  # triangular: half the work
        product = blas.dtrmm(1.0, factor, ordered, side=1, lower=1)
        product = blas.dtrmm(1.0, factor, product, lower=1, trans_a=1, overwrite_b=1)
    else:
        product = factor.T @ (ordered @ factor)
    return np.linalg.eigvalsh(product)
