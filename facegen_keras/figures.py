"""Figures of notebooks and reports.

Each function draws into the axes it is given, or into a figure of its own, and returns the figure.
Nothing is shown: a notebook displays what a cell returns, a script calls `figure.savefig`.
"""

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from facegen_keras.errors import UserError
from facegen_keras.generate import grid_shape, tile

INCH = 1.1  # side of one face in a grid
DOTS = 120  # per inch


def image_grid(
    images: np.ndarray,
    titles: Sequence[str] | None = None,
    columns: int | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Faces in rows.

    Args:
        images: uint8 (n, height, width, 3).
        titles: One per image, above it; only without `ax`.
        columns: By default the squarest grid.
        title: Above the whole.
        ax: Draw the grid as one picture here.

    Raises:
        UserError: The images are not uint8 RGB, or there are more or fewer titles than images.
    """
    columns, rows = (columns, -(-len(images) // columns)) if columns else grid_shape(len(images))
    sheet = tile(images, (columns, rows))
    if titles is None:
        if ax is None:
            ratio = sheet.shape[0] / sheet.shape[1]
            ax = _axes(columns * INCH, columns * INCH * ratio)
        ax.imshow(sheet, interpolation="nearest")
        ax.axis("off")
        if title:
            ax.set_title(title)
        return ax.figure
    if len(titles) != len(images):
        raise UserError(f"{len(titles)} titles for {len(images)} images: expected one each")
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(columns * INCH, rows * (INCH + 0.25)),
        squeeze=False,
        dpi=DOTS,
        layout="constrained",
    )
    plt.close(figure)  # returned, not shown: pyplot must not show it a second time
    for index, cell in enumerate(axes.flat):
        cell.axis("off")
        if index < len(images):
            cell.imshow(images[index], interpolation="nearest")
            cell.set_title(titles[index], fontsize=8)
    if title:
        figure.suptitle(title)
    return figure


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
    ax = ax or _axes(count * INCH + 1, 2 * INCH)
    ax.imshow(tile(np.concatenate([photos, reconstructions]), (count, 2)), interpolation="nearest")
    ax.set_yticks([height / 2, height * 3 / 2], labels)
    ax.set_xticks([])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return ax.figure


def read_log(source: str | os.PathLike | Iterable[dict]) -> list[dict]:
    """The lines of a run's `log.jsonl`.

    Args:
        source: The file, its run folder, or lines already read.

    Raises:
        UserError: There is no such file, or a line (but the last, which a running training may
            be writing) is not JSON.
    """
    if not isinstance(source, str | os.PathLike):
        return list(source)
    path = Path(source)
    path = path / "log.jsonl" if path.is_dir() else path
    if not path.exists():
        raise UserError(f"{path}: no such log; expected a run folder or its log.jsonl")
    lines, records = path.read_text(encoding="utf-8").splitlines(), []
    for number, line in enumerate(lines, 1):
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            if number < len(lines):
                raise UserError(f"{path}: line {number} is not JSON") from None
    return records


def loss_curves(
    source: str | os.PathLike | Iterable[dict],
    names: Sequence[str] | None = None,
    against: str = "images_seen",
    ax: Axes | None = None,
) -> Figure:
    """Losses over training.

    Args:
        source: A run folder, a `log.jsonl`, or its lines as dicts (`History.history` turned
            around).
        names: Keys to draw; by default every one that ends in "loss".
        against: Key of the horizontal axis; the number of the line where it is missing.
        ax: Where to draw.

    Raises:
        UserError: The log has no line, or none with these keys.
    """
    records = read_log(source)
    if names is None:
        names = list(dict.fromkeys(k for record in records for k in record if k.endswith("loss")))
    drawn = [name for name in names if any(name in record for record in records)]
    if not drawn:
        raise UserError(f"no loss to draw among {len(records)} lines; asked for {list(names)}")
    ax = ax or _axes(6, 3.5)
    for name in drawn:
        points = [
            (record.get(against, number), record[name])
            for number, record in enumerate(records, 1)
            if record.get(name) is not None
        ]
        ax.plot(*zip(*points, strict=True), label=name.replace("_", " "), linewidth=1.2)
    known = any(against in record for record in records)
    ax.set_xlabel(against.replace("_", " ") if known else "epoch")
    ax.set_ylabel("loss")
    ax.grid(alpha=0.3)
    ax.legend(frameon=False)
    return ax.figure


def compare_runs(
    folders: Iterable[str | os.PathLike], name: str | None = None, ax: Axes | None = None
) -> Figure:
    """One loss of several runs over the images they saw.

    Args:
        folders: Run folders.
        name: Key of their logs; by default the first that all of them have of `val_loss`, `loss`
            and `generator_loss`.
        ax: Where to draw.

    Raises:
        UserError: A folder has no log, or the runs have no such key in common.
    """
    logs = {Path(folder).name: read_log(folder) for folder in folders}
    shared = set.intersection(*({k for line in log for k in line} for log in logs.values()))
    wanted = [name] if name else ["val_loss", "loss", "generator_loss"]
    key = next((key for key in wanted if key in shared), None)
    if key is None:
        raise UserError(f"the runs have none of {', '.join(wanted)} in common; they share {shared}")
    ax = ax or _axes(6, 3.5)
    for run, log in logs.items():
        lines = [line for line in log if key in line]
        ax.plot(
            [x["images_seen"] for x in lines], [x[key] for x in lines], label=run, linewidth=1.2
        )
    ax.set_xlabel("images seen")
    ax.set_ylabel(key.replace("_", " "))
    ax.grid(alpha=0.3)
    ax.legend(frameon=False)
    return ax.figure


def _axes(width: float, height: float) -> Axes:
    """Axes of a figure of their own, sizes in inches."""
    figure, ax = plt.subplots(figsize=(width, height), dpi=DOTS, layout="constrained")
    plt.close(figure)  # returned, not shown: pyplot must not show it a second time
    return ax
