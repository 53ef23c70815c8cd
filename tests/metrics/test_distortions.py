"""Damage of known size does what its name says."""

import numpy as np
import pytest
from PIL import Image

from facegen_keras.errors import UserError
from facegen_keras.metrics.distortions import RESIZE_FILTERS, add_noise, blur, jpeg, shrink

RANDOM = np.random.default_rng(0)
NOISY = RANDOM.integers(0, 256, (3, 32, 32, 3)).astype(np.uint8)
GREY = np.full((2, 32, 32, 3), 128, np.uint8)


def test_no_damage_changes_nothing():
    np.testing.assert_array_equal(blur(NOISY, 0), NOISY)
    np.testing.assert_array_equal(add_noise(NOISY, 0), NOISY)
    np.testing.assert_array_equal(shrink(NOISY, 32, "nearest"), NOISY)


def test_blur_spreads_a_point_as_a_gaussian_and_stays_in_its_image():
    point = np.zeros((2, 33, 33, 3), np.uint8)
    point[0, 16, 16, 1] = 255
    soft = blur(point, 1.0)
    assert soft[0, 16, 16, 1] == pytest.approx(255 / (2 * np.pi), abs=2)
    assert soft[0, :, :, [0, 2]].max() == 0
    assert soft[1].max() == 0
    assert blur(NOISY, 2.0).std() < blur(NOISY, 1.0).std() < NOISY.std()


def test_noise_has_the_deviation_it_is_given():
    noisy = add_noise(np.repeat(GREY, 20, 0), 10)
    assert noisy.std() == pytest.approx(10, rel=0.02)
    assert noisy.mean() == pytest.approx(128, abs=1)
    np.testing.assert_array_equal(noisy, add_noise(np.repeat(GREY, 20, 0), 10))
    assert (noisy[0] != noisy[1]).any()


def test_jpeg_loses_more_at_lower_quality():
    smooth = blur(NOISY, 2.0).astype(int)
    loss = [np.abs(jpeg(smooth.astype(np.uint8), q) - smooth).mean() for q in (95, 50, 10)]
    assert 0 < loss[0] < loss[1] < loss[2]


def test_shrink():
    for name in RESIZE_FILTERS:
        assert shrink(NOISY, 16, name).shape == (3, 16, 16, 3)
        np.testing.assert_array_equal(shrink(GREY, 16, name), GREY[:, :16, :16])
    mean = NOISY.reshape(3, 16, 2, 16, 2, 3).mean((2, 4))
    np.testing.assert_allclose(shrink(NOISY, 16, "box"), mean, atol=1.01)  # Pillow rounds twice
    expected = np.asarray(Image.fromarray(NOISY[0]).resize((16, 16), Image.Resampling.LANCZOS))
    np.testing.assert_array_equal(shrink(NOISY, 16, "lanczos")[0], expected)
    # By a factor of four the two pixels that are read leave out the outer two of each cell.
    inner = NOISY.reshape(3, 8, 4, 8, 4, 3)[:, :, 1:3, :, 1:3].mean((2, 4))
    np.testing.assert_allclose(shrink(NOISY, 8, "bilinear, no antialias"), inner, atol=0.51)
    with pytest.raises(UserError, match="'cubic'; choose one of 'lanczos'"):
        shrink(NOISY, 16, "cubic")
