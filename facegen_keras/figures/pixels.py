"""Pictures at whole multiples of their pixels.

A face of 64 pixels that is drawn 110 wide repeats some of its columns and not others: it looks
rougher than it is. Here every pixel of a face is a square of k by k pixels, on the screen (120 dpi)
and in the PNG for a report (300 dpi).
"""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.transforms import Bbox

from facegen_keras.figures.theme import DOTS, figure_of, new_axes

SCREEN = 128  # pixels of a face on the screen
INCH = SCREEN / DOTS  # side of a face
ROOM = 1.0  # inches around a sheet, before `fit_figure` measures its headings
EDGE = 0.12  # inches around a sheet and its headings


def face_width(side: int, inch: float = INCH) -> float:
    """Width of a face on the page in inches: the whole multiple of its pixels nearest to `inch`.

    Args:
        side: Of the face, in pixels. On the screen each of them gets at least one.
        inch: The width that is wanted.
    """
    return max(1, round(inch * DOTS / side)) * side / DOTS


def show_sheet(sheet: np.ndarray, side: int, inch: float = INCH, ax: Axes | None = None) -> Axes:
    """Draw a sheet of faces, each of its pixels as a square of whole pixels.

    Args:
        sheet: uint8 `(height, width, 3)`, from `pictures.tile`.
        side: Width of one of its faces.
        inch: Width of one face on the page, about.
        ax: Where to draw, as large as fits; by default new axes of the right size.
    """
    height, width = sheet.shape[:2]
    if ax is None:
        scale = face_width(side, inch) / side
        ax = new_axes(width * scale + ROOM, height * scale + ROOM)
    ax.imshow(sheet, interpolation="nearest")
    keep_whole(ax, width, height)
    return ax


def keep_whole(ax: Axes, width: int, height: int) -> None:
    """Give axes the largest size that is a whole multiple of a picture, at any resolution.

    Args:
        ax: Axes that show a picture and nothing else.
        width: Of the picture, in pixels.
        height: Of the picture, in pixels.
    """
    room = ax.figure.bbox

    def place(_: Any, renderer: RendererBase) -> Bbox:
        asked = ax.get_position(original=True)
        # Positions come back from a division: a tenth of a pixel is not a missing one.
        fitting = min(
            (asked.width * room.width + 0.1) // width, (asked.height * room.height + 0.1) // height
        )
        if fitting < 1:
            return asked  # too small for whole pixels
        across, down = fitting * width, fitting * height
        left = round(room.x0 + asked.x0 * room.width + (asked.width * room.width - across) / 2)
        low = round(room.y0 + asked.y0 * room.height + (asked.height * room.height - down) / 2)
        return Bbox.from_bounds(
            (left - room.x0) / room.width,
            (low - room.y0) / room.height,
            across / room.width,
            down / room.height,
        )

    ax.set_axes_locator(place)


def fit_figure(ax: Axes) -> None:
    """Make a figure as large as the sheet in its only axes and their headings.

    Args:
        ax: As from `show_sheet`. Headings that do not fit into `ROOM` had narrowed them.
    """
    figure = figure_of(ax)
    figure.draw_without_rendering()
    box = ax.get_tightbbox()
    if box is not None:
        headings = np.subtract(box.size, ax.bbox.size) / figure.dpi
        figure.set_size_inches(*(figure.get_size_inches() - ROOM + headings + EDGE))
