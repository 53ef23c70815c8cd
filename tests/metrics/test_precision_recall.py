"""Precision, recall, density and coverage on sets whose answer can be seen."""

import numpy as np
import pytest

from facegen_keras.errors import UserError
from facegen_keras.metrics import precision_recall, recalled
from facegen_keras.metrics.precision_recall import nearest


def cloud(n, dim=4, seed=0):
    return np.random.default_rng(seed).standard_normal((n, dim))


def test_against_the_definitions_by_loops():
    real, fake = cloud(40), 1.3 * cloud(35, seed=1)

    def radius(points, i, k):
        return np.sort(np.linalg.norm(points - points[i], axis=1))[k]  # [0] is the point itself

    def inside(point, points, k):
        return [np.linalg.norm(point - p) <= radius(points, i, k) for i, p in enumerate(points)]

    result = precision_recall(real, fake, k=3, k_density=5)
    assert result.precision == pytest.approx(np.mean([any(inside(f, real, 3)) for f in fake]))
    assert result.recall == pytest.approx(np.mean([any(inside(r, fake, 3)) for r in real]))
    assert result.density == pytest.approx(np.mean([sum(inside(f, real, 5)) / 5 for f in fake]))
    covered = np.any([inside(f, real, 5) for f in fake], axis=0)
    assert result.coverage == pytest.approx(covered.mean())


def test_fidelity_and_variety_come_apart():
    real = cloud(500)
    narrow = precision_recall(real, 0.1 * cloud(500, seed=1))
    assert narrow.precision > 0.95
    assert narrow.recall < 0.3
    wide = precision_recall(real, 10 * cloud(500, seed=1))
    assert wide.precision < 0.1
    assert wide.recall > 0.9
    elsewhere = precision_recall(real, cloud(500, seed=1) + 100)
    assert (elsewhere.precision, elsewhere.recall, elsewhere.coverage) == (0, 0, 0)
    same = precision_recall(real, cloud(500, seed=1))
    assert same.precision > 0.9
    assert same.recall > 0.9
    assert same.density == pytest.approx(1, abs=0.1)


def test_a_constant_offset_does_not_blur_the_distances():
    """Float32 squares of large numbers would lose the small differences."""
    real, fake = cloud(200), cloud(200, seed=1)
    near, far = precision_recall(real, fake), precision_recall(real + 1e3, fake + 1e3)
    assert far.precision == pytest.approx(near.precision, abs=0.02)
    assert far.coverage == pytest.approx(near.coverage, abs=0.02)


def test_nearest_is_exact_across_blocks(monkeypatch):
    import sys

    module = sys.modules["facegen_keras.metrics.precision_recall"]
    monkeypatch.setattr(module, "ROWS", 7)
    photos, samples = cloud(50), cloud(20, seed=1)
    indices, distances = nearest(samples, photos, 3)
    full = np.linalg.norm(samples[:, None] - photos[None], axis=-1)
    np.testing.assert_array_equal(indices, np.argsort(full, 1)[:, :3])
    np.testing.assert_allclose(distances, np.sort(full, 1)[:, :3], rtol=1e-3)


def test_refusals():
    with pytest.raises(UserError, match="larger than it"):
        precision_recall(cloud(3), cloud(9))
    with pytest.raises(UserError, match="expected"):
        precision_recall(cloud(9, 3), cloud(9, 4))


def test_recalled_photos_are_those_that_recall_counts():
    photos, samples = cloud(60), 0.7 * cloud(50, seed=1) + 0.3
    found, result = recalled(photos, samples), precision_recall(photos, samples)
    assert found.dtype == bool
    assert found.mean() == pytest.approx(result.recall)
    assert recalled(samples, photos).mean() == pytest.approx(result.precision)
    assert recalled(samples[:5], samples).all()
    for k, message in ((50, "k=50 with 50 samples"), (0, "k=0")):
        with pytest.raises(UserError, match=message):
            recalled(photos, samples, k)
    with pytest.raises(UserError, match="features of shape"):
        recalled(photos, samples[:, :2])
