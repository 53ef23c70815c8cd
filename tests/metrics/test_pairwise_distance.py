"""Pairwise distances and path lengths of cases whose answer is known."""

import numpy as np
import pytest
from keras import ops
from scipy.spatial.distance import pdist

from facegen_keras.errors import UserError
from facegen_keras.metrics import mean_pairwise_distance, w_path_lengths


def test_the_mean_over_all_pairs():
    features = np.random.default_rng(0).standard_normal((40, 7)) + 100
    assert float(mean_pairwise_distance(features)) == pytest.approx(pdist(features).mean())


def test_corners_at_one_distance_leave_no_doubt():
    value = mean_pairwise_distance(np.eye(5) * 3)
    assert float(value) == pytest.approx(3 * np.sqrt(2))
    assert value.error == pytest.approx(0, abs=1e-9)


def test_the_error_is_what_repetition_shows():
    draws = np.random.default_rng(1).standard_normal((200, 50, 3))
    values = [mean_pairwise_distance(draw) for draw in draws]
    spread = np.std([float(v) for v in values], ddof=1)
    assert np.mean([v.error for v in values]) == pytest.approx(spread, rel=0.2)


def test_refused_features():
    for features in (np.zeros((2, 3)), np.zeros((4, 2, 2))):
        with pytest.raises(UserError, match="n at least 3"):
            mean_pairwise_distance(features)


class Linear:
    """A 'StyleGAN2' of two layers whose image is linear in its styles."""

    spaces, latent_dim, w_dim, layers, resolution, chunk = ("z", "w"), 3, 3, 2, 4, 8

    def __init__(self):
        self.matrix = np.random.default_rng(5).standard_normal((6, 48)).astype("float32")

    def mapping(self, z):
        return np.asarray(z, "float32")

    def styles(self, w):
        return np.repeat(w[:, None], self.layers, axis=1)

    def network(self, noise_mode):
        def images(styles, training):
            flat = ops.matmul(ops.reshape(styles, (-1, 6)), self.matrix)
            return ops.reshape(flat, (-1, 4, 4, 3))

        return images


def test_path_lengths_of_a_linear_generator():
    generator = Linear()
    found = w_path_lengths(generator, 11, seed=2)
    y = np.random.default_rng(2).standard_normal((11, 48)) / 4  # 1 / sqrt(height * width)
    gradient = (y @ generator.matrix.T).reshape(11, 2, 3)
    expected = np.sqrt((gradient**2).sum(2).mean(1))
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_path_lengths_need_a_w():
    with pytest.raises(UserError, match="expected a StyleGAN2"):
        w_path_lengths(object(), 4)


def test_path_lengths_hold_the_directions_of_one_chunk(monkeypatch):
    """All of them together took 9 GiB at 1024x1024."""
    drawn = []
    draw = np.random.default_rng

    class Counting:
        def __init__(self, seed):
            self.random = draw(seed)

        def standard_normal(self, shape):
            drawn.append(shape)
            return self.random.standard_normal(shape)

    generator = Linear()
    monkeypatch.setattr(np.random, "default_rng", Counting)
    w_path_lengths(generator, 2 * generator.chunk + 1)
    assert [rows for rows, _ in drawn] == [generator.chunk, generator.chunk, 1]
