import numpy as np
import pytest

from facegen_keras.data.aliasing import enlarge, radial_power, zone_plate
from facegen_keras.errors import UserError


def grating(cycles: int, side: int = 64, axis: int = 0) -> np.ndarray:
    wave = 127.5 + 120 * np.cos(2 * np.pi * cycles * np.arange(side) / side)
    grey = np.broadcast_to(wave[:, None] if axis == 0 else wave, (side, side))
    return np.repeat(np.rint(grey).astype(np.uint8)[None, ..., None], 3, axis=-1)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("cycles", [3, 12, 30])
def test_a_grating_has_its_power_at_its_frequency(cycles, axis):
    power = radial_power(grating(cycles, axis=axis))
    assert power.shape == (32,)
    assert power.argmax() == cycles - 1
    window = slice(max(0, cycles - 3), cycles + 2)  # the Hann window reaches two steps
    assert power[window].sum() > 0.99 * power.sum()


def test_white_noise_has_its_variance_at_every_frequency():
    noise = np.random.default_rng(0).integers(0, 256, (300, 32, 32, 1), dtype=np.uint8)
    power = radial_power(np.repeat(noise, 3, axis=-1))
    # Beside the lowest frequencies, of which the mean taken out has spread through the window.
    np.testing.assert_allclose(power[2:], noise.var(), rtol=0.1)


def test_power_needs_squares():
    with pytest.raises(UserError, match="6x4"):
        radial_power(np.zeros((2, 4, 6, 3), np.uint8))


def test_the_zone_plate_reaches_nyquist_at_the_middle_of_its_edges():
    plate = zone_plate(128)
    assert plate.shape == (128, 128, 3)
    assert plate.dtype == np.uint8
    assert (plate[64, 64] > 250).all()
    row = plate[64, :, 0].astype(int) > 127
    changes = np.flatnonzero(row[1:] != row[:-1])
    gaps = np.diff(changes)
    assert gaps[-1] == 1
    assert gaps.max() > 8
    np.testing.assert_array_equal(plate, plate[::-1])
    np.testing.assert_array_equal(plate, plate.transpose(1, 0, 2))


def test_enlarged_images_keep_flat_areas_and_their_mean():
    images = np.random.default_rng(0).integers(60, 200, (2, 8, 8, 3), dtype=np.uint8)
    images[1] = 90
    large = enlarge(images, 32)
    assert large.shape == (2, 32, 32, 3)
    assert (large[1] == 90).all()
    assert abs(large[0].mean() - images[0].mean()) < 3
