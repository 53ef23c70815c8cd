"""The mixture of Gaussians: what EM finds, and where the flow leads latents."""

import numpy as np
import pytest

from facegen_keras.errors import UserError
from facegen_keras.mixture import Mixture, fit_mixture


def known(dim=4, seed=0):
    """Three Gaussians with correlations, at some distance from each other."""
    random = np.random.default_rng(seed)
    cholesky = np.tril(random.normal(0, 0.3, (3, dim, dim)), -1)
    cholesky[:, range(dim), range(dim)] = random.uniform(0.4, 1.2, (3, dim))
    means = 2.5 * random.standard_normal((3, dim))
    parts = (np.array([0.5, 0.3, 0.2]), means, cholesky)
    return Mixture(*(part.astype("float32") for part in parts))


def drawn(mixture, count, seed):
    random = np.random.default_rng(seed)
    weights = mixture.weights.astype("float64")
    which = random.choice(len(weights), count, p=weights / weights.sum())
    noise = random.standard_normal((count, mixture.dim))
    return mixture.means[which] + np.einsum("nij,nj->ni", mixture.cholesky[which], noise)


def test_the_density_is_that_of_the_formula():
    mixture = known(dim=2)
    point = np.array([[0.5, -1.0]])
    density = 0.0
    for weight, mean, lower in zip(
        *(part.astype("float64") for part in (mixture.weights, mixture.means, mixture.cholesky)),
        strict=True,
    ):
        covariance = lower @ lower.T
        offset = point[0] - mean
        exponent = -0.5 * offset @ np.linalg.inv(covariance) @ offset
        density += weight * np.exp(exponent) / (2 * np.pi * np.sqrt(np.linalg.det(covariance)))
    assert mixture.log_density(point)[0] == pytest.approx(np.log(density), rel=1e-6)


def test_em_finds_a_known_mixture_and_the_same_one_again():
    truth = known()
    codes, unseen = drawn(truth, 4000, 1), drawn(truth, 4000, 2)
    found = fit_mixture(codes, 3)
    loss = (truth.log_density(unseen) - found.log_density(unseen)).mean()
    assert -0.01 < loss < 0.03  # nats a code on held-out codes: nobody beats the truth by much
    one = fit_mixture(codes, 1).log_density(unseen).mean()
    assert found.log_density(unseen).mean() > one + 0.5
    order = np.argsort(-found.weights)
    np.testing.assert_allclose(found.weights[order], truth.weights, atol=0.03)
    np.testing.assert_allclose(found.means[order], truth.means, atol=0.15)
    again, other = fit_mixture(codes, 3), fit_mixture(codes, 3, seed=1)
    for name in ("weights", "means", "cholesky"):
        np.testing.assert_array_equal(getattr(again, name), getattr(found, name))
    assert other.log_density(unseen).mean() == pytest.approx(
        found.log_density(unseen).mean(), abs=0.02
    )


def test_few_codes_give_broad_components():
    """Six codes in eight dimensions, one of them without any spread."""
    codes = np.random.default_rng(0).standard_normal((6, 8))
    codes[:, 3] = 1.0
    found = fit_mixture(codes, 3)
    assert np.isfinite(found.log_density(codes)).all()
    covariances = found.cholesky @ found.cholesky.swapaxes(1, 2)
    free = np.delete(np.arange(8), 3)
    assert (np.diagonal(covariances, axis1=1, axis2=2)[:, free] > 0.05).all()
    same = fit_mixture(np.ones((6, 8)), 3)
    assert np.isfinite(same.codes(np.zeros((1, 8)))).all()
    with pytest.raises(UserError, match="3 Gaussians for 5 codes: give at least 6 photos"):
        fit_mixture(codes[:5], 3)
    codes[0, 0] = np.nan
    with pytest.raises(UserError, match="not finite"):
        fit_mixture(codes, 3)


def test_latents_become_codes_of_the_mixture():
    mixture = known()
    z = np.random.default_rng(3).standard_normal((4000, 4))
    codes, direct = mixture.codes(z), drawn(mixture, 60_000, 4)
    assert codes.dtype == np.float32
    np.testing.assert_allclose(codes.mean(0), direct.mean(0), atol=0.12)
    np.testing.assert_allclose(np.cov(codes.T), np.cov(direct.T), atol=0.35)
    nearest = [mixture.log_joint(x).argmax(1) for x in (codes, direct)]
    shares = [np.bincount(found, minlength=3) / len(found) for found in nearest]
    np.testing.assert_allclose(shares[0], shares[1], atol=0.03)
    densities = [mixture.log_density(x) for x in (codes, direct)]
    for quantile, error in ((0.05, 0.3), (0.25, 0.1), (0.5, 0.1), (0.75, 0.1), (0.95, 0.1)):
        ours, theirs = (np.quantile(x, quantile) for x in densities)
        assert ours == pytest.approx(theirs, abs=error)


def test_a_row_does_not_depend_on_its_company_and_a_small_step_is_small():
    mixture = known()
    z = np.random.default_rng(5).standard_normal((100, 4)).astype("float32")
    codes = mixture.codes(z)
    np.testing.assert_array_equal(mixture.codes(z[[70]])[0], codes[70])
    # From one component to another there is no leap: the fastest part of the way is a way too.
    ends = z[mixture.log_joint(codes).argmax(1).argsort()[[0, -1]]]

    def way(t):
        codes = mixture.codes(ends[0] + t[:, None] * (ends[1] - ends[0]))
        return np.linalg.norm(np.diff(codes, axis=0), axis=1)

    positions = np.linspace(0, 1, 501)
    coarse = way(positions)
    fastest = coarse.argmax()
    fine = way(np.linspace(*positions[fastest : fastest + 2], 21))
    assert fine.max() < 0.3 * coarse.max()


def test_one_gaussian_is_a_straight_map():
    mixture = known()
    one = Mixture(np.ones(1, "float32"), mixture.means[:1], mixture.cholesky[:1])
    z = np.random.default_rng(6).standard_normal((5, 4))
    values, directions = np.linalg.eigh(one.cholesky[0] @ one.cholesky[0].T)
    root = (directions * np.sqrt(values)) @ directions.T
    np.testing.assert_allclose(one.codes(z), one.means[0] + z @ root, atol=1e-4)
    identity = np.eye(4, dtype="float32")[None]
    normal = Mixture(np.ones(1, "float32"), np.zeros((1, 4), "float32"), identity)
    np.testing.assert_allclose(normal.codes(z), z, atol=1e-5)
