"""The Fréchet distance on cases whose answer is known."""

import warnings

import numpy as np
import pytest
import scipy.linalg

from facegen_keras.errors import UserError
from facegen_keras.metrics import Statistics, frechet_distance, frechet_of_features
from facegen_keras.metrics.frechet import trace_of_root


def random_covariance(dim: int, seed: int, rank: int | None = None) -> np.ndarray:
    factor = np.random.default_rng(seed).standard_normal((dim, rank or 2 * dim))
    return factor @ factor.T / factor.shape[1]


def test_identical_sets_give_zero():
    features = np.random.default_rng(0).standard_normal((400, 64)) * np.geomspace(1, 1e-6, 64)
    a = Statistics.from_features(features)
    b = Statistics.from_features(features[::-1])
    assert frechet_distance(a, b) < 1e-6
    assert frechet_distance(a, a) < 1e-6


def test_equal_covariance_gives_the_squared_mean_distance():
    covariance = random_covariance(50, 0)
    a, b = Statistics(np.zeros(50), covariance), Statistics(np.full(50, 0.3), covariance)
    assert frechet_distance(a, b) == pytest.approx(50 * 0.09, rel=1e-9)


def test_closed_form_of_commuting_gaussians():
    """With shared eigenvectors the distance is that of the standard deviations."""
    basis = np.linalg.qr(np.random.default_rng(0).standard_normal((30, 30)))[0]
    s, t = np.linspace(0.1, 2, 30), np.linspace(3, 0.2, 30)
    a = Statistics(np.zeros(30), basis @ np.diag(s**2) @ basis.T)
    b = Statistics(np.ones(30), basis @ np.diag(t**2) @ basis.T)
    assert frechet_distance(a, b) == pytest.approx(30 + ((s - t) ** 2).sum(), rel=1e-10)


def test_agrees_with_the_general_matrix_root():
    a, b = random_covariance(40, 1), random_covariance(40, 2)
    expected = np.trace(scipy.linalg.sqrtm(a @ b)).real
    assert trace_of_root(a, b) == pytest.approx(expected, rel=1e-9)
    assert trace_of_root(b, a) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("ranks", [(5, 5), (5, None), (None, 5), (60, 20)])
def test_rank_deficient_stays_real_finite_and_right(ranks):
    """The nuclear norm of the product of any two factors is the answer."""
    random = np.random.default_rng(0)
    left, right = (random.standard_normal((100, rank or 100)) for rank in ranks)
    expected = np.linalg.svd(left.T @ right, compute_uv=False).sum()
    value = trace_of_root(left @ left.T, right @ right.T)
    assert value == pytest.approx(expected, rel=1e-7)


def test_fewer_images_than_features():
    features = np.random.default_rng(0).standard_normal((60, 300))
    a = Statistics.from_features(features[:30])
    with pytest.warns(UserWarning, match="30 images for 300 features"):
        value = frechet_distance(a, Statistics.from_features(features[30:]))
    assert np.isfinite(value)
    assert 100 < value < 1000
    with pytest.warns(UserWarning, match="rank-deficient"):
        assert frechet_distance(a, a) < 1e-6


def test_dead_features():
    covariance = np.diag([1.0, 0.0, 4.0])
    zero = Statistics(np.zeros(3), np.zeros((3, 3)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert frechet_distance(Statistics(np.zeros(3), covariance), zero) == pytest.approx(5)
        assert frechet_distance(zero, zero) == 0


def test_small_eigenvalues_are_not_lost():
    """An eigenvalue of 1e-16 beside one of 1 has a root of 1e-8; a thousand of them count."""
    scales = np.concatenate([[1.0], np.full(400, 1e-8)])
    basis = np.linalg.qr(np.random.default_rng(0).standard_normal((401, 401)))[0]
    matrix = basis @ np.diag(scales) @ basis.T
    assert trace_of_root(matrix, matrix) == pytest.approx(scales.sum(), abs=2e-9)


def test_symmetry():
    a = Statistics(np.zeros(20), random_covariance(20, 3))
    b = Statistics(np.ones(20), random_covariance(20, 4))
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-12)


def test_mismatched_statistics_are_refused():
    with pytest.raises(UserError, match="2 and of 3 features"):
        frechet_distance(Statistics(np.zeros(2), np.eye(2)), Statistics(np.zeros(3), np.eye(3)))


@pytest.mark.parametrize("counts", [(30, 20), (30, 80), (80, 100)])
def test_of_features_is_that_of_their_statistics(counts):
    random = np.random.default_rng(0)
    a, b = (random.standard_normal((n, 50)) * s for n, s in zip(counts, (1, 2), strict=True))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        expected = frechet_distance(Statistics.from_features(a), Statistics.from_features(b))
        assert frechet_of_features(a, b + 1) > frechet_of_features(a, b)
        assert frechet_of_features(a, b) == pytest.approx(expected, rel=1e-9)
        assert frechet_of_features(a, a) < 1e-9
    with pytest.raises(UserError, match=r"\(30, 50\) and \(3, 4\)"):
        frechet_of_features(a[:30], np.zeros((3, 4)))
    with pytest.raises(UserError, match="1 image"):
        frechet_of_features(a[:1], b)
