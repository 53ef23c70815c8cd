"""The losses against closed forms, SciPy and samples."""

import numpy as np
import pytest
from keras import ops
from scipy import special, stats

from facegen_keras import losses
from facegen_keras.engine import autodiff

RNG = np.random.RandomState(0)
REAL = RNG.randn(6, 1).astype("float32")
FAKE = RNG.randn(6, 1).astype("float32")


def number(tensor):
    return ops.convert_to_numpy(tensor)


def test_kl_is_that_of_samples():
    mean, log_variance = np.array([0.7, -1.5, 0.0]), np.array([-1.0, 0.5, 0.0])
    statistics = np.concatenate([mean, log_variance])[None].astype("float32")
    z = mean + np.exp(log_variance / 2) * np.random.RandomState(1).randn(400_000, 3)
    q, p = stats.norm(mean, np.exp(log_variance / 2)), stats.norm(0, 1)
    estimate = (q.logpdf(z) - p.logpdf(z)).mean(axis=0)
    closed = number(losses.kl_divergence(statistics))[0]
    np.testing.assert_allclose(closed, estimate, atol=0.01)
    assert closed[2] == 0.0  # the prior itself


def test_kl_known_answers_and_shape():
    statistics = np.zeros((2, 8), "float32")
    statistics[0, :4] = 2.0  # means: mean**2 / 2 each
    statistics[1, 4:] = np.log(4.0)  # variances: (4 - 1 - log 4) / 2 each
    kl = number(losses.kl_divergence(statistics))
    assert kl.shape == (2, 4)
    np.testing.assert_allclose(kl[0], 2.0, rtol=1e-6)
    np.testing.assert_allclose(kl[1], (3 - np.log(4)) / 2, rtol=1e-6)


def test_a_posterior_below_the_bound_is_what_the_encoder_says():
    statistics = (RNG.randn(4, 12) * 8).astype("float32")
    assert statistics[:, 6:].max() < losses.LARGEST_LOG_VARIANCE
    mean, log_variance = map(number, losses.posterior(ops.convert_to_tensor(statistics)))
    np.testing.assert_array_equal(mean, statistics[:, :6])
    np.testing.assert_array_equal(log_variance, statistics[:, 6:])


def test_a_variance_beyond_the_bound_is_brought_down_again():
    def kl(statistics):
        return ops.sum(losses.kl_divergence(statistics)), None

    statistics = ops.convert_to_tensor(np.float32([[0.5, -2.0, 50.0, 1.0]]))
    _, _, gradient = autodiff.input_gradient(kl, statistics)
    expected = [0.5, -2.0, (np.exp(20) - 1) / 2, (np.e - 1) / 2]
    np.testing.assert_allclose(number(gradient)[0], expected, rtol=1e-6)


def test_reconstruction_is_summed_over_pixels():
    black, white = np.full((2, 4, 4, 3), -1, "float32"), np.full((2, 4, 4, 3), 1, "float32")
    white[1] = 0.0  # half way: a squared error of a quarter
    error = number(losses.reconstruction_loss("mse", black, white))
    np.testing.assert_allclose(error, [48.0, 12.0], rtol=1e-6)
    np.testing.assert_allclose(number(losses.reconstruction_loss("mse", white, white)), 0)


def test_bce_is_the_cross_entropy_and_finite_when_saturated():
    images, guess = RNG.rand(2, 3, 5, 4, 3).astype("float32")
    expected = (special.xlogy(images, guess) + special.xlog1py(1 - images, -guess)).sum((1, 2, 3))
    error = number(losses.reconstruction_loss("bce", images * 2 - 1, guess * 2 - 1))
    np.testing.assert_allclose(error, -expected, rtol=1e-4)
    black, white = np.full((1, 2, 2, 3), -1, "float32"), np.full((1, 2, 2, 3), 1, "float32")
    wrong = number(losses.reconstruction_loss("bce", black, white))
    np.testing.assert_allclose(wrong, 12 * -np.log(losses.PROBABILITY_EPSILON), rtol=0.01)


def test_non_saturating_is_cross_entropy():
    d = losses.discriminator_loss("non_saturating", REAL, FAKE)
    p_real, p_fake = special.expit(REAL), special.expit(FAKE)
    assert float(d) == pytest.approx(-np.log(p_real).mean() - np.log(1 - p_fake).mean(), rel=1e-5)
    g = losses.generator_loss("non_saturating", FAKE)
    assert float(g) == pytest.approx(-np.log(p_fake).mean(), rel=1e-5)
    zero = np.zeros((4, 1), "float32")
    even = losses.discriminator_loss("non_saturating", zero, zero)
    assert float(even) == pytest.approx(2 * np.log(2), rel=1e-6)


def test_label_smoothing_is_cross_entropy_with_soft_labels():
    d = losses.discriminator_loss("non_saturating", REAL, FAKE, label_smoothing=0.1)
    p_real, p_fake = special.expit(REAL), special.expit(FAKE)
    real = -(0.9 * np.log(p_real) + 0.1 * np.log(1 - p_real)).mean()
    assert float(d) == pytest.approx(real - np.log(1 - p_fake).mean(), rel=1e-5)
    # The best answer to a label of 0.9 is the logit of 0.9: no slope there.
    at = [special.logit(0.9) + e for e in (-0.1, 0.0, 0.1)]
    low, best, high = (
        float(losses.discriminator_loss("non_saturating", np.float32([[x]]), FAKE, 0.1)) for x in at
    )
    assert best < low
    assert best < high


def test_relativistic_compares_pairs():
    real, fake = np.float32([[2.0], [0.0]]), np.float32([[-1.0], [3.0]])
    d = float(losses.discriminator_loss("relativistic", real, fake))
    assert d == pytest.approx(-np.log(special.expit([3.0, -3.0])).mean(), rel=1e-5)
    g = float(losses.generator_loss("relativistic", fake, real))
    assert g == pytest.approx(-np.log(special.expit([-3.0, 3.0])).mean(), rel=1e-5)
    moved = float(losses.discriminator_loss("relativistic", real + 5, fake + 5))
    assert moved == pytest.approx(d, rel=1e-5)  # only differences count
    right = losses.accuracies("relativistic", real + 5, fake + 5)
    assert [float(share) for share in right.values()] == [0.5, 0.5]
    right = losses.accuracies("hinge", real, fake)
    assert (float(right["real_accuracy"]), float(right["fake_accuracy"])) == (0.5, 0.5)


def test_hinge_known_answers():
    real, fake = np.float32([[2.0], [0.5]]), np.float32([[-3.0], [0.5]])
    # Photos beyond 1 and fakes below -1 cost nothing; the others their distance.
    assert float(losses.discriminator_loss("hinge", real, fake)) == pytest.approx(0.25 + 0.75)
    assert float(losses.generator_loss("hinge", fake)) == pytest.approx(1.25)


def test_r1_is_the_squared_norm_per_image():
    gradient = RNG.randn(3, 4, 4, 3).astype("float32")
    expected = np.linalg.norm(gradient.reshape(3, -1), axis=1) ** 2
    np.testing.assert_allclose(number(losses.r1_penalty(gradient)), expected, rtol=1e-5)


def test_path_lengths_average_over_layers():
    gradient = np.zeros((2, 4, 3), "float32")
    gradient[0, :, 0] = 3.0  # every layer has length 3
    gradient[1, 0] = [2.0, 4.0, 4.0]  # one of four layers has length 6: sqrt(36 / 4)
    np.testing.assert_allclose(number(losses.path_lengths(gradient)), [3.0, 3.0], rtol=1e-6)
