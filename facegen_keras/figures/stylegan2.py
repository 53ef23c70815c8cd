"""What StyleGAN2's latent space does to a face: tables of faces, and measurements."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from facegen_keras.errors import UserError
from facegen_keras.figures.grids import add_headings, checked_table, draw_table, face_table
from facegen_keras.figures.pixels import INCH, fit_figure, show_sheet
from facegen_keras.figures.theme import figure_of, hide_axes, styled

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
            grey levels; the last column. White from the 99th percentile on.
        labels: Of the n rows.

    Raises:
        UserError: The shapes differ.
    """
    names = list(faces)
    images = np.stack([np.asarray(faces[name]) for name in names], axis=1)
    images = checked_table(images, labels, names)
    count, _, height, width, _ = images.shape
    if deviation.shape != (count, height, width):
        raise UserError(f"deviation of shape {deviation.shape}: expected {(count, height, width)}")
    most = float(np.percentile(deviation, 99)) or 1.0  # nothing has moved: a black map
    table = np.concatenate([images, _as_grey(deviation, most)[:, None]], axis=1)
    return _with_scale(table, labels, [*names, "deviation"], most, (1.0, "max"))


@styled
def style_exchange(
    faces: np.ndarray,
    maps: np.ndarray,
    rows: Sequence[object],
    columns: Sequence[object],
    most: float | None = None,
) -> Figure:
    """Faces before and after each of several changes, and where the change moves the pixels.

    Args:
        faces: uint8 `(n, changes + 1, height, width, 3)`, the first column before any change.
        maps: How far the pixels move, `(changes, height, width)`, in grey levels; the last row.
        rows: Headings of the n rows and of the maps.
        columns: Headings of the columns.
        most: White in the maps; by default their largest value.

    Raises:
        UserError: The shapes differ.
    """
    count, across, height, width, _ = np.shape(faces)
    if maps.shape != (across - 1, height, width):
        raise UserError(f"maps of shape {maps.shape}: expected {(across - 1, height, width)}")
    most = (float(maps.max()) if most is None else most) or 1.0  # nothing has moved: black maps
    last = np.full((1, across, height, width, 3), 255, np.uint8)  # no map of the first column
    last[0, 1:] = _as_grey(maps, most)
    ends = "max" if maps.max() > most else "neither"
    return _with_scale(np.concatenate([faces, last]), rows, columns, most, (1 / (count + 1), ends))


def _as_grey(values: np.ndarray, most: float) -> np.ndarray:
    """Numbers as grey pictures, uint8 `(..., 3)`: 0 is black, `most` and more are white."""
    grey = (255 * np.clip(values / most, 0, 1)).round().astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=-1)


def _with_scale(
    table: np.ndarray,
    rows: Sequence[object] | None,
    columns: Sequence[object],
    most: float,
    bar: tuple[float, str],
) -> Figure:
    """A table that has grey maps in it, and their scale on its right: its height and open ends."""
    drawn = draw_table(table, rows, columns)
    across, (share, ends) = table.shape[1], bar
    place = drawn.inset_axes((1 + 0.08 / across, 0, 0.1 / across, share))
    greys = ScalarMappable(Normalize(0, most), "gray")
    figure_of(drawn).colorbar(greys, cax=place, label="grey levels", extend=ends)
    fit_figure(drawn)
    return figure_of(drawn)


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
