"""Faces on a page: grids, rows and tables with headings."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase

from facegen_keras.errors import UserError, check_whole
from facegen_keras.figures.pixels import INCH, face_width, fit_figure, keep_whole, show_sheet
from facegen_keras.figures.theme import figure_of, hide_axes, new_figure, styled
from facegen_keras.labels import check_headings
from facegen_keras.pictures import grid_shape, tile

SPACE, HEADING = 0.14, 0.35  # inches beside a face with a title, and above it


@styled
def image_grid(
    images: np.ndarray,
    titles: Sequence[str] | None = None,
    columns: int | None = None,
    title: str | None = None,
    inch: float = INCH,
    ax: Axes | None = None,
    into: FigureBase | None = None,
) -> FigureBase:
    """Faces in rows.

    Args:
        images: uint8 `(n, height, width, 3)`.
        titles: One per image, above it; not with `ax`.
        columns: Images in a row; by default the squarest grid.
        title: Above the whole grid.
        inch: Side of one image.
        ax: Draw the grid as one picture here.
        into: With titles: draw into this figure or subfigure.

    Raises:
        UserError: The images are not uint8 RGB, or there are more or fewer titles than images.
    """
    images = np.asarray(images)
    if columns is not None:
        check_whole("columns", columns)
    count = len(images) if images.ndim else 0  # `tile` refuses none
    columns, rows = (columns, max(1, -(-count // columns))) if columns else grid_shape(count)
    sheet = tile(images, (columns, rows))
    height, width = images.shape[1:3]
    if titles is None:
        drawn = show_sheet(sheet, width, inch, ax)
        drawn.axis("off")
        if title:
            drawn.set_title(title)
        if ax is None:
            fit_figure(drawn)
        return figure_of(drawn)
    if len(titles) != len(images):
        raise UserError(f"{len(titles)} titles for {len(images)} images: expected one each")
    face = face_width(width, inch)
    figure = into or new_figure(columns * (face + SPACE), rows * (face * height / width + HEADING))
    axes = figure.subplots(rows, columns, squeeze=False)
    for index, cell in enumerate(axes.flat):
        cell.axis("off")
        if index < len(images):
            cell.imshow(images[index], interpolation="nearest")
            keep_whole(cell, width, height)
            cell.set_title(titles[index], fontsize=8)
    if title:
        figure.suptitle(title)
    return figure


@styled
def image_rows(
    rows: Mapping[str, np.ndarray], inch: float = INCH, ax: Axes | None = None
) -> Figure:
    """Named rows of images: the same faces, treated in several ways.

    Args:
        rows: uint8 `(n, height, width, 3)` by name, all of one shape.
        inch: Side of one image.
        ax: Where to draw.

    Raises:
        UserError: The rows differ in shape.
    """
    shapes = {np.shape(images) for images in rows.values()}
    if len(shapes) != 1:
        raise UserError(f"rows of shapes {sorted(shapes)}: expected one shape for all")
    table = np.stack(list(rows.values()))
    return face_table(table, list(rows), inch=inch, ax=ax)


@styled
def face_table(
    images: np.ndarray,
    rows: Sequence[object] | None = None,
    columns: Sequence[object] | None = None,
    row_title: str | None = None,
    column_title: str | None = None,
    inch: float = INCH,
    ax: Axes | None = None,
) -> Figure:
    """Faces in rows and columns, each with a heading.

    Args:
        images: uint8 `(rows, columns, height, width, 3)`.
        rows: Headings of the rows, written with `str`.
        columns: Headings of the columns, written with `str`.
        row_title: What the rows' headings are.
        column_title: What the columns' headings are.
        inch: Width of one face.
        ax: Where to draw.

    Raises:
        UserError: The images do not form a table, or the headings do not fit it.
    """
    drawn = draw_table(images, rows, columns, row_title, column_title, inch, ax)
    if ax is None:
        fit_figure(drawn)
    return figure_of(drawn)


def draw_table(
    images: np.ndarray,
    rows: Sequence[object] | None = None,
    columns: Sequence[object] | None = None,
    row_title: str | None = None,
    column_title: str | None = None,
    inch: float = INCH,
    ax: Axes | None = None,
) -> Axes:
    """`face_table` before its figure is fitted: what stands beside it can still be added."""
    images = checked_table(images, rows, columns)
    count, across, height, width, _ = images.shape
    drawn = show_sheet(tile(images.reshape(-1, height, width, 3), (across, count)), width, inch, ax)
    hide_axes(drawn)
    add_headings(
        drawn,
        ([width * (i + 0.5) - 0.5 for i in range(across)], columns, column_title),
        ([height * (i + 0.5) - 0.5 for i in range(count)], rows, row_title),
    )
    return drawn


def of_one_size(rows: Mapping[Any, np.ndarray]) -> np.ndarray:
    """Rows of faces of several resolutions as one table, uint8 `(rows, n, side, side, 3)`.

    Pixels are repeated, not smoothed: a face is shown as it is. The shortest row decides `n`.

    Args:
        rows: uint8 `(n, side, side, 3)` by name. Every side divides the largest.

    Raises:
        UserError: A side does not.
    """
    largest = max(images.shape[1] for images in rows.values())
    fewest = min(len(images) for images in rows.values())
    table = []
    for name, images in rows.items():
        factor, rest = divmod(largest, images.shape[1])
        if rest:
            raise UserError(f"{name}: a side of {images.shape[1]} does not divide {largest}")
        table.append(images[:fewest].repeat(factor, axis=1).repeat(factor, axis=2))
    return np.stack(table)


def checked_table(
    images: np.ndarray, rows: Sequence[object] | None, columns: Sequence[object] | None
) -> np.ndarray:
    """The images of a table.

    Args:
        images: uint8 `(rows, columns, height, width, 3)`.
        rows: Headings, or None.
        columns: Headings, or None.

    Raises:
        UserError: The images do not form a table, or the headings do not fit it.
    """
    images = np.asarray(images)
    if images.ndim != 5 or images.shape[-1] != 3 or images.dtype != np.uint8:
        raise UserError(
            f"a table of shape {images.shape}, {images.dtype}: "
            "expected uint8 (rows, columns, height, width, 3)"
        )
    check_headings(images, columns, rows)
    return images


def add_headings(ax: Axes, across: tuple, down: tuple) -> None:
    """Write the headings of columns and rows.

    Args:
        ax: Where the table is.
        across: Of the columns: positions in pixels, words or None, title or None.
        down: The same for the rows.
    """
    ax.tick_params(pad=2)
    positions, words, title = across
    if words is not None:
        ax.xaxis.tick_top()
        ax.set_xticks(positions, [str(word) for word in words])
        ax.tick_params(length=0)
    if title:
        ax.xaxis.set_label_position("top")
        ax.set_xlabel(title)
    positions, words, title = down
    if words is not None:
        ax.set_yticks(positions, [str(word) for word in words])
    if title:
        ax.set_ylabel(title)
