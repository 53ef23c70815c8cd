"""Faces on a page."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from facegen_keras.errors import UserError
from facegen_keras.figures.theme import new_axes, panels, styled
from facegen_keras.pictures import grid_shape, tile

INCH = 1.1  # side of one face in a grid


@styled
def image_grid(
    images: np.ndarray,
    titles: Sequence[str] | None = None,
    columns: int | None = None,
    title: str | None = None,
    inch: float = INCH,
    ax: Axes | None = None,
) -> Figure:
    """Faces in rows.

    Args:
        images: uint8 (n, height, width, 3).
        titles: One per image, above it; only without `ax`.
        columns: By default the squarest grid.
        title: Above the whole.
        inch: Side of one image.
        ax: Draw the grid as one picture here.

    Raises:
        UserError: The images are not uint8 RGB, or there are more or fewer titles than images.
    """
    columns, rows = (columns, -(-len(images) // columns)) if columns else grid_shape(len(images))
    sheet = tile(images, (columns, rows))
    if titles is None:
        if ax is None:
            ratio = sheet.shape[0] / sheet.shape[1]
            ax = new_axes(columns * inch, columns * inch * ratio)
        ax.imshow(sheet, interpolation="nearest")
        ax.axis("off")
        if title:
            ax.set_title(title)
        return ax.figure
    if len(titles) != len(images):
        raise UserError(f"{len(titles)} titles for {len(images)} images: expected one each")
    figure, axes = panels(rows, columns, columns * inch, rows * (inch + 0.25))
    for index, cell in enumerate(axes.flat):
        cell.axis("off")
        if index < len(images):
            cell.imshow(images[index], interpolation="nearest")
            cell.set_title(titles[index], fontsize=8)
    if title:
        figure.suptitle(title)
    return figure
