"""The Inception Score and the path length on cases whose answer is known."""

import numpy as np
import pytest

from facegen_keras.errors import UserError
from facegen_keras.generate.walks import interpolate
from facegen_keras.inference import latents
from facegen_keras.metrics import (
    inception_score,
    path_length,
    perceptual_path_length,
    walk_distances,
)


def test_score_of_certain_and_even_classes_is_their_number():
    logits = np.tile(np.eye(8) * 100, (10, 1))
    score = inception_score(logits, splits=10)
    assert float(score) == pytest.approx(8)
    assert score.error == pytest.approx(0, abs=1e-9)


def test_the_error_of_a_score_is_that_of_the_mean_over_splits():
    random = np.random.default_rng(0)
    scores = [inception_score(random.standard_normal((200, 8)) * 2) for _ in range(60)]
    spread = np.std([float(score) for score in scores], ddof=1)
    assert np.mean([score.error for score in scores]) == pytest.approx(spread, rel=0.3)


def test_score_of_images_that_all_look_alike_is_one():
    logits = np.tile(np.random.default_rng(0).standard_normal(50), (40, 1))
    assert float(inception_score(logits)) == pytest.approx(1)


def test_score_survives_extreme_logits():
    logits = np.random.default_rng(0).standard_normal((100, 5)) * 1e4
    assert 1 <= float(inception_score(logits)) <= 5
    with pytest.raises(UserError, match="10 splits"):
        inception_score(logits[:9])


class Circle:
    """A 'generator' of one grey image whose level depends linearly on the angle of z."""

    latent_dim, speed = 2, 0.1

    def __call__(self, z):
        angle = np.arctan2(z[:, 1].astype(np.float64), z[:, 0].astype(np.float64))
        return np.tile((self.speed * angle)[:, None, None, None], (1, 8, 8, 3))


class Level:
    """An 'extractor' that returns the grey level in [-1, 1]."""

    batch_size = 32

    def from_floats(self, pixels):
        return pixels.mean((1, 2, 3)).astype(np.float64)[:, None] / 127.5 - 1


def test_path_length_of_a_circle():
    """Moving at share t of the arc between two angles turns by angle * dt; so the length is
    the mean of (speed * arc)^2, with arcs uniform in [0, pi]: speed^2 pi^2 / 3."""
    length = perceptual_path_length(Circle(), Level(), num_samples=2000)
    expected = Circle.speed**2 * np.pi**2 / 3
    assert abs(float(length) - expected) < 5 * length.error
    assert length.error < 0.15 * expected  # some walks cross the jump of the angle


def test_walks_at_their_start_and_anywhere():
    options = {"num_samples": 50, "seed": 3}
    anywhere = walk_distances(Circle(), Level(), **options)
    start = walk_distances(Circle(), Level(), anywhere=False, **options)
    assert anywhere.shape == start.shape == (50,)
    ends = latents([3, 4], 2)
    first, second = Circle()(interpolate(*ends, np.array([0, 1e-3])))[:, 0, 0, 0]
    assert start[0] == pytest.approx((second - first) ** 2 / 1e-6, rel=1e-2)
    length = perceptual_path_length(Circle(), Level(), **options)
    assert float(length) == pytest.approx(anywhere.mean())  # 1 % of 50 cuts none


def test_path_length_of_a_real_extractor_stands_clear_of_rounding(generator, tiny):
    """The value may not depend on the step: at 1e-3 as at 3e-3, within a per cent."""
    small = perceptual_path_length(generator, tiny, 64, epsilon=1e-3)
    large = perceptual_path_length(generator, tiny, 64, epsilon=3e-3)
    assert float(small) == pytest.approx(float(large), rel=0.02)


def test_path_length_refusals(generator, tiny):
    with pytest.raises(UserError, match="there is no w"):
        perceptual_path_length(generator, tiny, 8, space="w")
    with pytest.raises(UserError, match="num_samples=1"):
        perceptual_path_length(generator, tiny, 1)


def test_the_error_of_a_trimmed_mean_is_its_spread(monkeypatch):
    def heavy_tailed(generator, extractor, count, seed, *rest):
        return np.random.default_rng(seed).lognormal(0, 1, count)

    monkeypatch.setattr(path_length, "walk_distances", heavy_tailed)
    found = [perceptual_path_length(None, None, 500, seed) for seed in range(200)]
    spread = np.std([float(length) for length in found], ddof=1)
    assert np.mean([length.error for length in found]) == pytest.approx(spread, rel=0.12)
