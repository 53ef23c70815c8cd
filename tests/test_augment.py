"""DiffAugment: what it may change, by how much, and that gradients come through."""

import keras
import numpy as np
import pytest
from keras import ops

from facegen_keras.augment import diff_augment
from facegen_keras.augment_policy import parse_policy
from facegen_keras.engine import autodiff
from facegen_keras.errors import UserError

POLICY = ("color", "translation", "cutout")


@pytest.fixture
def images():
    return np.random.RandomState(0).uniform(0.5, 1.0, (24, 16, 16, 3)).astype("float32")


def augment(images, policy, probability=1, seed=3):
    generator = keras.random.SeedGenerator(seed)
    return ops.convert_to_numpy(diff_augment(images, policy, generator, probability))


def test_shape_stays_and_no_policy_is_the_identity(images):
    assert augment(images, POLICY).shape == images.shape
    np.testing.assert_array_equal(augment(images, ()), images)


def test_the_seed_decides_and_moves_on(images):
    np.testing.assert_array_equal(augment(images, POLICY), augment(images, POLICY))
    generator = keras.random.SeedGenerator(3)
    first, second = (
        ops.convert_to_numpy(diff_augment(images, POLICY, generator)) for _ in range(2)
    )
    assert np.abs(first - second).max() > 0.1


def test_translation_moves_whole_pixels_and_fills_with_grey(images):
    shifts = set()
    for before, after in zip(images, augment(images, ("translation",)), strict=True):
        rows, columns = np.flatnonzero(after.any((1, 2))), np.flatnonzero(after.any((0, 2)))
        found = [
            (v, h)
            for v in range(-2, 3)
            for h in range(-2, 3)
            if np.array_equal(shifted(before, v, h), after)
        ]
        assert len(found) == 1  # by a whole number of pixels, at most an eighth of 16
        shifts.add(found[0])
        assert (len(rows), len(columns)) == (16 - abs(found[0][0]), 16 - abs(found[0][1]))
    assert len(shifts) > 8  # each image on its own
    assert {v for v, _ in shifts} == {h for _, h in shifts} == {-2, -1, 0, 1, 2}


def shifted(image, vertical, horizontal):
    """Content moves up and left by the given numbers of pixels; zeros come in."""
    big = np.pad(image, ((2, 2), (2, 2), (0, 0)))
    top, left = 2 + vertical, 2 + horizontal
    return big[top : top + 16, left : left + 16]


def test_cutout_erases_half_by_half_or_less_at_the_border(images):
    erased = (augment(images, ("cutout",)) == 0).all(axis=3)
    kept = np.where(erased[..., None], 0, images)
    np.testing.assert_array_equal(augment(images, ("cutout",)), kept)
    for mask in erased:
        rows, columns = mask.any(axis=1), mask.any(axis=0)
        assert mask.sum() == rows.sum() * columns.sum()  # a rectangle
        assert 4 <= rows.sum() <= 8
        assert 4 <= columns.sum() <= 8
        # Cut off only where the square reaches over the border.
        assert rows.sum() == 8 or rows[0] or rows[-1]
    assert len({mask.tobytes() for mask in erased}) > 15


def test_colour_keeps_the_pattern(images):
    changed = augment(images, ("color",))
    difference = (changed - images).mean(axis=(1, 2, 3))
    assert np.abs(difference).max() <= 0.5 + 1e-5
    assert difference.std() > 0.1
    pattern = lambda x: x.mean(axis=3) - x.mean(axis=(1, 2, 3))[:, None, None]  # noqa: E731
    contrast = [
        np.polyfit(a.ravel(), b.ravel(), 1, full=True)
        for a, b in zip(pattern(images), pattern(changed), strict=True)
    ]
    slopes = np.array([fit[0][0] for fit in contrast])
    assert max(fit[1][0] for fit in contrast) < 1e-6  # the grey pattern is only scaled
    assert 0.5 <= slopes.min() < 0.75
    assert 1.25 < slopes.max() <= 1.5


def test_probability(images):
    np.testing.assert_array_equal(augment(images, POLICY, probability=0.0), images)
    np.testing.assert_array_equal(
        augment(images, POLICY, ops.convert_to_tensor(1.0)), augment(images, POLICY)
    )
    many = np.concatenate([images] * 20)
    untouched = (augment(many, POLICY, probability=0.3) == many).all((1, 2, 3)).mean()
    assert 0.6 < untouched < 0.8


def test_the_gradient_comes_through(images):
    weight = np.random.RandomState(1).randn(*images.shape).astype("float32")

    def value(x):
        # A generator of its own each time: the same augmentation at every point.
        augmented = diff_augment(x, POLICY, keras.random.SeedGenerator(3))
        return ops.sum(augmented * weight), None

    _, _, gradient = autodiff.input_gradient(value, ops.convert_to_tensor(images))
    # Every augmentation is linear in the image, so any step gives the exact slope.
    step = np.random.RandomState(2).randn(*images.shape).astype("float32")
    slope = float(value(images + step)[0]) - float(value(images)[0])
    assert float(ops.sum(gradient * step)) == pytest.approx(slope, rel=1e-3)
    assert abs(slope) > 1


def test_unknown_policy_is_refused_by_name():
    assert parse_policy("color, cutout") == ("color", "cutout")
    assert parse_policy("") == ()
    with pytest.raises(UserError, match="'colour': expected any of color, translation, cutout"):
        parse_policy("color,colour")
