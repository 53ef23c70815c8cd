import numpy as np
import pytest

from facegen_keras.data import load_faces, order

KNOWN_ORDER = [2, 4, 3, 6, 5, 0, 1, 7]  # of NumPy's PCG64 from SeedSequence([0, 0])
KNOWN_FLIPS = [False, False, False, False, False, False, False, True]


def test_order_is_a_permutation_that_seed_and_epoch_decide():
    first = order.order(3, 5, 1000)
    assert sorted(first) == list(range(1000))
    assert (first == order.order(3, 5, 1000)).all()
    assert (first != order.order(3, 6, 1000)).mean() > 0.99
    assert (first != order.order(4, 5, 1000)).mean() > 0.99


def test_order_stays_what_it_is():
    # A changed stream would break the exact resume of runs begun before.
    assert order.order(0, 0, 8).tolist() == KNOWN_ORDER
    assert order.flips(0, 0, 8).tolist() == KNOWN_FLIPS


def test_flips_are_fair_and_change_with_the_epoch():
    flips = [order.flips(0, epoch, 10_000) for epoch in range(2)]
    assert all(4800 < flip.sum() < 5200 for flip in flips)
    assert 0.4 < (flips[0] != flips[1]).mean() < 0.6


def test_batch_mirrors_where_the_flips_say():
    images = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), dtype=np.uint8)
    faces = load_faces(images, resolution=8, mirror=True)
    batch = order.batch(faces, seed=1, epoch=2, step=1, batch_size=6)
    places, flips = order.order(1, 2, 20)[6:12], order.flips(1, 2, 20)[6:12]
    assert 0 < flips.sum() < 6
    for image, place, flip in zip(batch, places, flips, strict=True):
        assert (image == (images[place, :, ::-1] if flip else images[place])).all()
    assert (images == faces[:]).all()  # flipping happens on a copy


def test_batch_drops_the_last_partial_one():
    faces = load_faces(np.zeros((20, 8, 8, 3), np.uint8), resolution=8)
    with pytest.raises(IndexError, match="step 3 of an epoch of 3"):
        order.batch(faces, 0, 0, 3, 6)
