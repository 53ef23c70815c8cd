"""Every pixel of a face is a square of whole pixels, on the screen and on paper."""

import io

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from facegen_keras import figures
from facegen_keras.figures.theme import DOTS, PRINT_DOTS
from facegen_keras.pictures import tile

RNG = np.random.default_rng(0)


def noise(count: int, side: int) -> np.ndarray:
    return RNG.integers(0, 255, (count, side, side, 3), dtype=np.uint8)


def found(figure, sheet: np.ndarray, dots: int, factor: int) -> bool:
    """Whether the drawn figure holds the sheet, each pixel `factor` times as large."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=dots, bbox_inches="tight")
    page = np.asarray(Image.open(buffer).convert("RGB"))
    large = sheet.repeat(factor, axis=0).repeat(factor, axis=1)
    height, width = large.shape[:2]
    tops = page[: len(page) - height + 1, : page.shape[1] - width + 1]
    corners = np.argwhere((tops == large[0, 0]).all(-1))
    return any((page[y : y + height, x : x + width] == large).all() for y, x in corners)


DRAWN = {
    "grid": lambda f: (figures.image_grid(f, columns=6), tile(f, (6, 2))),
    "titles": lambda f: (figures.image_grid(f, list("abcdefghijkl"), columns=6), f[7]),
    "rows": lambda f: (figures.image_rows({"one": f[:6], "other": f[6:]}), tile(f, (6, 2))),
    "wide headings": lambda f: (
        figures.image_rows({"a name that is wider than an inch": f[:2], "other": f[2:4]}),
        tile(f[:4], (2, 2)),
    ),
    "mix": lambda f: (
        figures.style_mix_matrix(f.reshape(3, 4, *f.shape[1:]), [1, 2], [3, 4, 5]),
        f[-1],
    ),
    "noise": lambda f: (
        figures.noise_effect({"none": f[:3], "some": f[3:6]}, np.ones(f[:3].shape[:3])),
        f[4],
    ),
    "exchange": lambda f: (
        figures.style_exchange(
            f[:8].reshape(2, 4, *f.shape[1:]), np.ones((3, *f.shape[1:3])), "abw", "0123"
        ),
        tile(f[:8], (4, 2)),
    ),
}


@pytest.mark.parametrize("drawn", DRAWN)
@pytest.mark.parametrize(
    ("side", "dots", "factor"),
    [(64, DOTS, 2), (64, PRINT_DOTS, 5), (32, DOTS, 4), (128, DOTS, 1), (128, PRINT_DOTS, 2)],
)
def test_faces_are_drawn_at_whole_multiples(drawn, side, dots, factor):
    figure, sheet = DRAWN[drawn](noise(12, side))
    assert found(figure, sheet, dots, factor)


def test_axes_of_the_caller_get_the_largest_multiple_that_fits():
    faces = noise(2, 32)
    figure, ax = plt.subplots(figsize=(4, 2))
    figures.image_grid(faces, columns=2, ax=ax)
    figure.draw_without_rendering()
    assert found(figure, tile(faces, (2, 1)), 100, 4)  # 310 pixels of room hold four times 64
    figures.image_grid(noise(1, 512), ax=ax)  # no room for one pixel each: drawn, smaller
    figure.draw_without_rendering()
    plt.close(figure)
