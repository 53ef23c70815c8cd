"""What StyleGAN2's latent space does to a face: tables of faces, and measurements."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from facegen_keras.errors import UserError
from facegen_keras.figures.grids import add_headings, checked_table, face_table
from facegen_keras.figures.pixels import INCH, face_width, fit_figure, keep_whole, show_sheet
from facegen_keras.figures.theme import (
    figure_of,
    hide_axes,
    panels,
    styled,
)

GAP = 0.12  # fraction of a face, between the unmixed faces and the matrix of mixed ones


@styled
def style_mix_matrix(
    matrix: np.ndarray,
    rows: Sequence[object],
    columns: Sequence[object],
    layers: str = "some layers",
    ax: Axes | None = None,
) -> Figure:
    """Mixed styles, with a gap after the unmixed faces (Karras et al. 2019, figure 3).

    Args:
        matrix: uint8 `(rows + 1, columns + 1, height, width, 3)`, from `w_space.style_mix`.
        rows: Seeds of the faces that are changed.
        columns: Seeds of the faces that styles are taken from.
        layers: The layers taken from the column, for the title, such as `"layers 0-3"`.
        ax: Where to draw.

    Raises:
        UserError: The matrix does not fit the seeds.
    """
    matrix = checked_table(matrix, [None, *rows], [None, *columns])
    down, across, height, width, _ = matrix.shape
    gap_y, gap_x = round(GAP * height), round(GAP * width)
    sheet = np.full((down * height + gap_y, across * width + gap_x, 3), 255, np.uint8)
    tops = [i * height + gap_y * (i > 0) for i in range(down)]
    lefts = [i * width + gap_x * (i > 0) for i in range(across)]
    for row, top in zip(matrix, tops, strict=True):
        for image, left in zip(row, lefts, strict=True):
            sheet[top : top + height, left : left + width] = image
    drawn = show_sheet(sheet, width, ax=ax)
    hide_axes(drawn)
    add_headings(
        drawn,
        ([x + width / 2 for x in lefts[1:]], columns, f"{layers} from seed"),
        ([y + height / 2 for y in tops[1:]], rows, "the other layers from seed"),
    )
    if ax is None:
        fit_figure(drawn)
    return figure_of(drawn)


@styled
def truncation_table(
    faces: np.ndarray,
    psis: Sequence[float],
    seeds: Sequence[int] | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Each face at several truncations.

    Args:
        faces: uint8 `(seeds, psis, height, width, 3)`, from `w_space.truncation_sweep`.
        psis: Truncation ψ of each column.
        seeds: Of the rows.
        ax: Where to draw.
    """
    columns = [f"ψ = {psi:g}" for psi in psis]
    return face_table(faces, seeds, columns, "seed" if seeds is not None else None, ax=ax)


@styled
def noise_effect(
    faces: Mapping[str, np.ndarray], deviation: np.ndarray, labels: Sequence[object] | None = None
) -> Figure:
    """The same faces with different noise inputs, and where the noise changes them.

    Args:
        faces: uint8 `(n, height, width, 3)` by name of the noise, one column each.
        deviation: Standard deviation of the pixels over many noise inputs, `(n, height, width)`, in
            grey levels; the last column.
        labels: Of the n rows.

    Raises:
        UserError: The shapes differ.
    """
    names = list(faces)
    images = np.stack([np.asarray(faces[name]) for name in names], axis=1)
    images = checked_table(images, labels, names)
    count, across, height, width, _ = images.shape
    if deviation.shape != (count, height, width):
        raise UserError(f"deviation of shape {deviation.shape}: expected {(count, height, width)}")
    face = face_width(width)
    size = (across + 1) * face + 2.5, count * height / width * face + 0.7
    figure, axes = panels(1, 2, *size, width_ratios=(across, 1.15))
    left, right = axes[0]
    face_table(images, labels, names, ax=left)
    shown = right.imshow(np.concatenate(list(deviation)), vmin=0)
    keep_whole(right, width, count * height)
    hide_axes(right)
    right.set_title("deviation", fontsize=9)
    figure.colorbar(shown, ax=right, label="grey levels")
    return figure


@styled
def direction_table(
    faces: np.ndarray,
    steps: Sequence[float],
    names: Sequence[object] | None = None,
    unit: str = "σ",
    inch: float = INCH,
    ax: Axes | None = None,
    column_title: str | None = None,
) -> Figure:
    """One face moved along directions of its latent, one row per direction.

    Args:
        faces: uint8 `(directions, steps, height, width, 3)`, from `w_space.traverse_w` or
            `attributes.traverse_latent`.
        steps: Distance of each column.
        names: Of the directions; by default their numbers.
        unit: Of the steps; by default standard deviations.
        inch: Width of one face.
        ax: Where to draw.
        column_title: What the steps are, above them.
    """
    columns = [f"{step:+g} {unit}".rstrip() if step else "0" for step in steps]
    title = "direction" if names is None else None
    names = range(1, len(faces) + 1) if names is None else names
    return face_table(faces, names, columns, title, column_title, inch=inch, ax=ax)
