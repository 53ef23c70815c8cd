"""Tables of faces with their headings: seeds, truncation ψ, "photo", "reconstruction"."""

import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from facegen_keras.errors import UserError
from facegen_keras.files.atomic import replacing
from facegen_keras.files.own_pictures import marked

FACE = 128  # pixels of a face at least; smaller ones are drawn at a whole multiple
TEXT = 16  # height of the letters in pixels
GAP = 6  # between words and faces


@cache
def _font() -> ImageFont.FreeTypeFont:
    import matplotlib  # its font has ψ; Pillow's own has not

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return ImageFont.truetype(str(folder / "DejaVuSans.ttf"), TEXT)


def scale_of(height: int) -> int:
    """How often each pixel of a face of that height is repeated: twice, or up to `FACE` pixels."""
    return max(2 if height <= FACE else 1, -(-FACE // height))


def check_headings(
    images: np.ndarray, columns: Sequence[object] | None, rows: Sequence[object] | None
) -> None:
    """Refuse headings that do not fit a table `(rows, columns, height, width, 3)`.

    Raises:
        UserError: There are more or fewer than rows or columns.
    """
    for name, headings, count in (
        ("rows", rows, images.shape[0]),
        ("columns", columns, images.shape[1]),
    ):
        if headings is not None and len(headings) != count:
            raise UserError(f"{len(headings)} headings for {count} {name}: expected one each")


def labelled(
    images: np.ndarray,
    columns: Sequence[object] | None = None,
    rows: Sequence[object] | None = None,
) -> np.ndarray:
    """Faces in rows and columns under their headings: one image, uint8 `(height, width, 3)`.

    Faces of up to 128 pixels are enlarged by a whole factor, at least 2, so that every pixel stays
    as it is. The table stands in the lower right corner.

    Args:
        images: uint8 `(rows, columns, height, width, 3)`.
        columns: Headings of the columns, written with `str`.
        rows: Headings of the rows, written with `str`.

    Raises:
        UserError: The headings do not fit the table.
    """
    check_headings(images, columns, rows)
    down, across, height, width, _ = images.shape
    scale = scale_of(height)
    table = images.transpose(0, 2, 1, 3, 4).reshape(down * height, across * width, 3)
    table = table.repeat(scale, axis=0).repeat(scale, axis=1)
    left = max((_width(word) for word in rows or ()), default=-2 * GAP) + 2 * GAP
    top = TEXT + 2 * GAP if columns is not None else 0
    sheet = Image.new("RGB", (left + table.shape[1], top + table.shape[0]), "white")
    sheet.paste(Image.fromarray(table), (left, top))
    pen, font = ImageDraw.Draw(sheet), _font()
    for k, word in enumerate(columns or ()):
        middle = left + (k + 0.5) * scale * width
        pen.text((middle, top - GAP), str(word), "black", font, anchor="ms")
    for k, word in enumerate(rows or ()):
        middle = top + (k + 0.5) * scale * height
        pen.text((left - GAP, middle), str(word), "black", font, anchor="rm")
    return np.asarray(sheet)


def _width(word: object) -> int:
    return int(_font().getlength(str(word)) + 0.999)


def save_labelled(
    images: np.ndarray,
    path: str | os.PathLike,
    columns: Sequence[object] | None = None,
    rows: Sequence[object] | None = None,
) -> Path:
    """Write a table with its headings as one picture, whole or not at all; see `labelled`."""
    sheet = Image.fromarray(labelled(images, columns, rows))
    with replacing(path) as temporary:
        sheet.save(temporary, pnginfo=marked() if Path(path).suffix == ".png" else None)
    return Path(path)
