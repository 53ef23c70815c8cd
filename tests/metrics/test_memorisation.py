"""The memorisation check tells a model that keeps photos from one that does not."""

import numpy as np
import pytest

from facegen_keras.errors import UserError
from facegen_keras.metrics import Reference, memorisation
from facegen_keras.metrics.memorisation import QUANTILE, Memorisation


@pytest.fixture
def sets(photos):
    random = np.random.default_rng(7)
    more = np.kron(random.integers(0, 256, (120, 2, 2, 3)), np.ones((1, 4, 4, 1))).astype("u1")
    return photos, more[:60], more[60:]  # training, held out, fresh samples


def test_copies_are_found(tiny, sets):
    training, held_out, _ = sets
    copies = training[[3, 1, 4, 15]].astype(int) + np.random.default_rng(0).integers(-2, 3, 3)
    found = memorisation(tiny, np.clip(copies, 0, 255).astype("u1"), training, held_out)
    assert found.indices[:, 0].tolist() == [3, 1, 4, 15]
    assert found.close == 1
    assert found.indices.shape == found.distances.shape == (4, 3)
    assert (np.diff(found.distances, axis=1) >= 0).all()


def test_fresh_samples_are_not_suspicious(tiny, sets):
    training, held_out, fresh = sets
    found = memorisation(tiny, fresh, training, held_out)
    assert found.close <= 0.1
    assert np.median(found.distances[:, 0]) == pytest.approx(np.median(found.held_out), rel=0.2)
    assert found.by_chance == pytest.approx((1 + 0.59) / 61)
    assert found.protocol["training"] == 60
    assert found.protocol["extractor"] == "tiny"


def test_prepared_photos_give_the_same(tiny, sets):
    training, held_out, fresh = sets
    plain = memorisation(tiny, fresh, training, held_out)
    prepared = (Reference(tiny, images, cache_dir=False) for images in (fresh, training, held_out))
    found = memorisation(tiny, *prepared)
    np.testing.assert_array_equal(found.indices, plain.indices)
    assert (found.threshold, found.protocol) == (plain.threshold, plain.protocol)
    np.testing.assert_array_equal(found.samples[5], plain.samples[5])
    np.testing.assert_array_equal(found.training[7], plain.training[7])


def test_refusals(tiny, sets):
    training, held_out, fresh = sets
    with pytest.raises(UserError, match="2 training photos"):
        memorisation(tiny, fresh, training[:2], held_out)
    with pytest.raises(UserError, match="0 held-out"):
        memorisation(tiny, fresh, training, held_out[:0])


def test_what_few_held_out_photos_call_close_by_chance():
    """The share of fresh numbers below an interpolated quantile of few others."""
    random = np.random.default_rng(0)
    for count in (10, 50, 200):
        below = [
            (random.random(500) < np.quantile(random.random(count), QUANTILE)).mean()
            for _ in range(2000)
        ]
        empty = np.empty((0, 3))
        found = Memorisation(empty, empty, np.zeros(count), 0.0, 0.0)
        assert np.mean(below) == pytest.approx(found.by_chance, rel=0.06)
