"""Faces on a page: grids, and photos beside what became of them."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from facegen_keras.errors import UserError
from facegen_keras.figures.style import bare, new_axes, panels, styled
from facegen_keras.generate import grid_shape, tile

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


@styled
def reconstruction_pairs(
    photos: np.ndarray,
    reconstructions: np.ndarray,
    labels: tuple[str, str] = ("photo", "reconstruction"),
    ax: Axes | None = None,
) -> Figure:
    """Photos in the upper row, what became of them in the lower.

    Args:
        photos: uint8 (n, height, width, 3).
        reconstructions: Of the same shape.
        labels: Of the two rows.
        ax: Where to draw.

    Raises:
        UserError: The two differ in shape.
    """
    if photos.shape != reconstructions.shape:
        raise UserError(f"photos {photos.shape} beside reconstructions {reconstructions.shape}")
    count, height = len(photos), photos.shape[1]
    ax = ax or new_axes(count * INCH + 1, 2 * INCH)
    ax.imshow(tile(np.concatenate([photos, reconstructions]), (count, 2)), interpolation="nearest")
    bare(ax)
    ax.set_yticks([height / 2, height * 3 / 2], labels)
    return ax.figure
