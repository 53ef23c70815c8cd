"""The game in the plane: its points, its losses and gradients, and that it repeats."""

import keras
import numpy as np
import pytest
from keras import ops

from facegen_keras.inference import infer
from facegen_keras.models.ring import (
    BATCH,
    CELLS,
    CENTRES,
    EDGE,
    GAUSSIANS,
    RADIUS,
    STDDEV,
    RingGAN,
    Snapshot,
    draw_ring,
)

POINTS = draw_ring(BATCH, np.random.default_rng(5))


def ring_gan(rate=0.0, **options):
    keras.utils.set_random_seed(0)
    gan = RingGAN(**options)
    gan.compile({name: keras.optimizers.SGD(rate) for name in gan.networks()})
    return gan


def test_points_stand_around_eight_centres():
    points = draw_ring(4000, np.random.default_rng(0))
    assert points.dtype == np.float32
    distances = np.linalg.norm(points[:, None] - CENTRES, axis=-1)
    counts = np.bincount(distances.argmin(axis=1), minlength=GAUSSIANS)
    np.testing.assert_allclose(counts / 4000, 1 / 8, atol=0.02)
    assert np.sqrt((distances.min(axis=1) ** 2).mean() / 2) == pytest.approx(STDDEV, rel=0.05)
    np.testing.assert_allclose(np.linalg.norm(CENTRES, axis=1), RADIUS)


def test_what_a_snapshot_counts():
    samples = np.concatenate([np.repeat(CENTRES[:3], [49, 49, 1], axis=0), [[0.0, 0.0]]])
    snapshot = Snapshot(7, samples, np.zeros_like(samples), np.zeros((CELLS, CELLS)))
    assert snapshot.near == pytest.approx(0.99)
    assert snapshot.reached == 2  # one sample in a hundred does not reach a Gaussian


def test_the_losses_are_those_of_the_logits():
    gan = ring_gan(r1_gamma=0.5)
    report = gan.train_on_batch(POINTS.reshape(BATCH, 1, 1, 2), return_dict=True)
    stream = keras.random.SeedGenerator(0)
    z = ops.convert_to_numpy(keras.random.normal((BATCH, 2), seed=stream))
    real, fake = (
        infer(gan.discriminator, x)[:, 0] for x in (POINTS, infer(gan.generator, z))
    )  # a rate of zero leaves both networks as they were
    expected = np.log1p(np.exp(-real)).mean() + np.log1p(np.exp(fake)).mean()
    assert float(report["discriminator_loss"]) == pytest.approx(expected, rel=1e-5)
    assert float(report["generator_loss"]) == pytest.approx(np.log1p(np.exp(-fake)).mean(), 1e-5)
    step = 1e-2  # numerical slopes of the logit
    slopes = [
        (infer(gan.discriminator, POINTS + d) - infer(gan.discriminator, POINTS - d))[:, 0]
        / (2 * step)
        for d in (np.float32([step, 0]), np.float32([0, step]))
    ]
    r1 = np.square(slopes).sum(axis=0).mean()
    assert float(report["r1"]) == pytest.approx(r1, rel=0.05)


def test_arrows_point_to_where_the_discriminator_believes():
    gan = ring_gan()
    snapshot = gan.snapshot()
    before = infer(gan.discriminator, snapshot.samples)
    lengths = np.linalg.norm(snapshot.pull, axis=1, keepdims=True)
    after = infer(gan.discriminator, snapshot.samples + 1e-2 * snapshot.pull / lengths)
    assert (after > before).mean() > 0.95
    corner = infer(gan.discriminator, np.float32([[EDGE, -EDGE]]))  # x, y
    assert snapshot.level[0, -1] == pytest.approx(float(1 / (1 + np.exp(-corner[0, 0]))), rel=1e-4)


def test_the_penalty_flattens_the_discriminator():
    slopes = {}
    for gamma in (0.0, 5.0):
        gan = ring_gan(rate=0.1, r1_gamma=gamma)
        last = gan.play(steps=40, every=20)[-1]
        assert last.step == 40
        slopes[gamma] = np.ptp(last.level)
    assert slopes[5.0] < 0.7 * slopes[0.0]


def test_a_game_repeats():
    first, second = (ring_gan(rate=0.05).play(steps=4, every=2) for _ in range(2))
    assert [snapshot.step for snapshot in first] == [0, 2, 4]
    for one, other in zip(first, second, strict=True):
        np.testing.assert_allclose(one.samples, other.samples, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_it_plays_on_the_other_backends(on_backend, backend):
    code = """
import keras
from facegen_keras.models.ring import RingGAN
gan = RingGAN(r1_gamma=0.1)
gan.compile({name: keras.optimizers.Adam(1e-2) for name in gan.networks()})
start, end = gan.play(steps=3, every=3)
print(end.step, (start.samples != end.samples).any(), end.pull.shape)
"""
    assert on_backend(code, backend).split() == ["3", "True", "(256,", "2)"]
