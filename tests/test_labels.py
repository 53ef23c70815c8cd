"""Tables of faces with their headings."""

import numpy as np
import pytest
from PIL import Image

from facegen_keras.errors import UserError
from facegen_keras.labels import TEXT, labelled, save_labelled, scale_of


@pytest.fixture
def images():
    return np.random.RandomState(0).randint(0, 256, (2, 3, 64, 64, 3), dtype=np.uint8)


@pytest.mark.parametrize(("height", "scale"), [(8, 16), (32, 4), (64, 2), (128, 2), (256, 1)])
def test_small_faces_are_enlarged_by_whole_factors(height, scale):
    assert scale_of(height) == scale


def test_every_pixel_stays_under_its_heading(images, faces_of):
    sheet = labelled(images, ["ψ = 0", "ψ = 0.5", "ψ = 1"], ["seed 1", "seed 100000"])
    np.testing.assert_array_equal(faces_of(sheet, 2, 3, 64), images)
    above, beside = sheet[: -2 * 128], sheet[-2 * 128 :, : -3 * 128]
    assert above.shape[0] > TEXT
    for k in range(3):  # a heading above each column, a heading beside each row
        assert above[:, sheet.shape[1] - (3 - k) * 128 :][:, :128].min() < 64
    for k in range(2):
        assert beside[128 * k :][:128].min() < 64


def test_psi_is_a_letter_of_the_font(images):
    """A letter that a font does not have is drawn as a box, the same for all."""
    drawn = [labelled(images, [letter, "", ""])[: -2 * 128] for letter in "ψσ"]
    assert not np.array_equal(*drawn)


def test_without_headings_there_is_no_margin(images):
    assert labelled(images).shape == (256, 384, 3)
    with pytest.raises(UserError, match="2 headings for 3 columns"):
        labelled(images, ["a", "b"])


def test_saved_whole(images, tmp_path):
    path = save_labelled(images, tmp_path / "new" / "table.png", ["a", "b", "c"])
    with Image.open(path) as picture:
        np.testing.assert_array_equal(np.asarray(picture), labelled(images, ["a", "b", "c"]))
