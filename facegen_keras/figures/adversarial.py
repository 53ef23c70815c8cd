"""Adversarial training: the discriminator's logits, samples over time, and mode collapse."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from facegen_keras.engine.callbacks import grid_pictures
from facegen_keras.engine.guards import COLLAPSE_RATIO
from facegen_keras.errors import UserError
from facegen_keras.figures.curves import read_log
from facegen_keras.figures.pixels import INCH, fit_figure, show_sheet
from facegen_keras.figures.theme import (
    COLOURS,
    DASHES,
    count_images,
    figure_of,
    hide_axes,
    new_axes,
    panels,
    styled,
)
from facegen_keras.pictures import grid_shape, tile

BINS = 40
TAIL = 0.5  # per cent of the logits at either end that do not stretch the axis


@styled
def optimal_discriminator(
    x: np.ndarray, real: np.ndarray, fake: np.ndarray, ax: Axes | None = None
) -> Figure:
    """Two densities and their optimal discriminator, real / (real + fake).

    Goodfellow et al. 2014 (arXiv:1406.2661), proposition 1.

    Args:
        x: Positions, `(n,)`.
        real: Density of photos there.
        fake: Density of generated images there.
        ax: Where to draw.
    """
    ax = ax or new_axes(4, 2.6)
    ax.plot(x, real, label="$p(x)$ of photos")
    ax.plot(x, fake, label="$p_G(x)$ of fakes")
    total = np.asarray(real) + np.asarray(fake)
    best = np.divide(real, total, out=np.full(len(total), np.nan), where=total > 0)
    ax.plot(x, best, label="best discriminator D*")
    ax.axhline(0.5, color="0.7", linestyle="-", linewidth=0.8)
    ax.set_xlabel("x")
    ax.set_ylabel("density, or D*(x)")
    ax.legend()
    return figure_of(ax)


@styled
def logit_histograms(logits: Mapping[str, np.ndarray], ax: Axes | None = None) -> Figure:
    """A discriminator's logits for several sets of images; above 0 means "photo".

    Args:
        logits: `(n,)` or `(n, 1)` by name of the set. Values beyond the drawn range count into the
            first and the last bin.
        ax: Where to draw.
    """
    ax = ax or new_axes(5, 2.8)
    _draw_logits(ax, logits, _edges(logits.values()))
    return figure_of(ax)


def _edges(sets: Iterable[np.ndarray]) -> np.ndarray:
    """Of the bins that hold all sets but for outliers, and 0."""
    everything = np.concatenate([np.ravel(values) for values in sets])
    low, high = np.percentile(everything, [TAIL, 100 - TAIL])
    return np.linspace(min(low, 0.0), max(high, low + 1e-6, 0.0), BINS + 1)


def _draw_logits(ax: Axes, logits: Mapping[str, np.ndarray], edges: np.ndarray) -> None:
    for index, (name, values) in enumerate(logits.items()):
        ax.hist(
            np.clip(np.ravel(values), edges[0], edges[-1]),
            edges.tolist(),
            density=True,
            histtype="step",
            linewidth=1.4,
            color=COLOURS[index % len(COLOURS)],
            linestyle=DASHES[index % len(DASHES)],
            label=name,
        )
    ax.margins(y=0.3)  # room for the legend
    ax.axvline(0, color="0.7", linestyle="-", linewidth=0.8)
    ax.set_xlabel("logit: fake < 0 < real")
    ax.set_ylabel("density")
    ax.legend()


@styled
def compare_discriminators(logits: Mapping[str, Mapping[str, np.ndarray]]) -> Figure:
    """`logit_histograms` of several discriminators, side by side in the same bins.

    Every panel has its own height: the densities of narrow histograms are high.

    Args:
        logits: As for `logit_histograms`, by name of the model.
    """
    width = min(4 * len(logits), 10)
    figure, axes = panels(1, len(logits), width, 2.8, sharex=True)
    ends = [_edges(sets.values())[[0, -1]] for sets in logits.values()]
    edges = np.linspace(np.min(ends), np.max(ends), BINS + 1)
    for ax, (name, sets) in zip(axes[0], logits.items(), strict=True):
        _draw_logits(ax, sets, edges)
        ax.set_title(name)
    return figure


@styled
def timelapse_strip(
    folder: str | os.PathLike,
    faces: int = 5,
    pictures: int = 8,
    grid: int = 64,
    inch: float = INCH,
    ax: Axes | None = None,
) -> Figure:
    """The same latents over a training, one row each, from the pictures that `ImageGrid` wrote.

    Args:
        folder: With `fakes_init.png`, `fakes_epoch0001.png` and so on.
        faces: Number of rows: this many of the first faces of each grid.
        pictures: Maximum number of columns, spread evenly from the first grid to the last.
        grid: Faces in a grid; `ImageGrid` draws 64 by default.
        inch: Side of one face.
        ax: Where to draw.

    Raises:
        UserError: The folder has no such picture.
    """
    paths = grid_pictures(folder)
    if not paths:
        raise UserError(f"{folder}: no fakes_init.png or fakes_epoch*.png; train with ImageGrid")
    chosen = np.unique(np.linspace(0, len(paths) - 1, min(pictures, len(paths))).round())
    paths = [paths[int(k)] for k in chosen]
    columns = [_first_faces(path, min(faces, grid), grid_shape(grid)) for path in paths]
    names = [path.stem.removeprefix("fakes_") for path in paths]
    labels = ["start" if n == "init" else f"epoch {int(n.removeprefix('epoch'))}" for n in names]
    rows, side = len(columns[0]), columns[0].shape[1]
    sheet = np.stack(columns, axis=1).reshape(-1, *columns[0].shape[1:])
    drawn = show_sheet(tile(sheet, (len(columns), rows)), side, inch, ax)
    hide_axes(drawn)
    drawn.set_xticks(side * (np.arange(len(columns)) + 0.5), labels)
    drawn.xaxis.tick_top()
    drawn.tick_params(length=0, labelsize=8)
    if ax is None:
        fit_figure(drawn)
    return figure_of(drawn)


@styled
def diversity_curves(
    logs: Mapping[str, str | os.PathLike | Iterable[dict]],
    alarm: float = COLLAPSE_RATIO,
    against: str = "images_seen",
    ax: Axes | None = None,
) -> Figure:
    """How much samples differ over a training, as `CollapseAlarm` logs it.

    The logged diversity is a ratio: the samples' variety divided by that of photos.

    Args:
        logs: By name of the run: its folder, its `log.jsonl`, or lines with `diversity` and
            `against`.
        alarm: The value below which the alarm warns.
        against: Key of the horizontal axis.
        ax: Where to draw.

    Raises:
        UserError: A log has no `diversity`.
    """
    ax = ax or new_axes(5, 2.8)
    for name, source in logs.items():
        lines = [line for line in read_log(source) if "diversity" in line]
        if not lines:
            raise UserError(f"{name}: no diversity in the log; train with CollapseAlarm")
        ax.plot(
            [line[against] for line in lines],
            [line["diversity"] for line in lines],
            label=name,
        )
    ax.axhline(alarm, color="0.5", linestyle="-", linewidth=0.8, label="alarm below")
    ax.set_ylim(bottom=0)
    ax.set_xlabel(against.replace("_", " "))
    if against == "images_seen":
        count_images(ax)
    ax.set_ylabel("diversity (data: 1)")
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure_of(ax)


def _first_faces(path: Path, count: int, shape: tuple[int, int]) -> np.ndarray:
    """The first faces of a grid picture, uint8 `(count, height, width, 3)`."""
    columns, rows = shape
    with Image.open(path) as picture:
        sheet = np.asarray(picture.convert("RGB"))
    height, width = sheet.shape[0] // rows, sheet.shape[1] // columns
    cells = sheet[: rows * height, : columns * width].reshape(rows, height, columns, width, 3)
    return cells.transpose(0, 2, 1, 3, 4).reshape(-1, height, width, 3)[:count]
