"""Curves of what a training logged."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from facegen_keras.errors import UserError
from facegen_keras.figures.theme import count_images, figure_of, new_axes, panels, styled

MOST_INSIDE = 6  # lines named in the axes; more are named below
LOSSES = ("val_loss", "loss", "generator_loss")  # by which a run is told from another, in turn
PENALTIES = ("r1", "r2", "path_penalty")  # parts of a loss whose keys do not say so
DISTANCES = ("fid", "fd")  # keys of a log that are no losses
FLAT = 100  # times the smallest loss: what is larger would flatten it
FEW = 8  # points of a line that are marked: between them nothing was measured


def printed_name(key: str) -> str:
    """The name of a number in a log as a figure or a table has it: `FD`, `val loss`."""
    return key.upper() if key in DISTANCES else key.replace("_", " ")


def read_log(source: str | os.PathLike | Iterable[dict]) -> list[dict]:
    """The lines of a run's `log.jsonl`.

    Args:
        source: The file, its run folder, or lines already read.

    Raises:
        UserError: The file does not exist, or a line is not JSON. The last line may be incomplete,
            since a running training may be writing it.
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


@styled
def loss_curves(
    source: str | os.PathLike | Iterable[dict],
    names: Sequence[str] | None = None,
    against: str = "images_seen",
    levels: Mapping[str, float] | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Losses over training: in one panel, or in several where their sizes differ so much that
    the smaller ones would be flat lines. The points of a short log are marked.

    Args:
        source: A run folder, a `log.jsonl`, or its lines as dicts (`History.history` transposed).
        names: Keys to draw; by default every one that ends in "loss", and the penalties `r1`,
            `r2` and `path_penalty`, unless they were never due, which leaves `null` or zeros.
            `fid` and `fd` get a panel of their own.
        against: Key of the horizontal axis; where it is missing, the number of the line.
        levels: Losses to compare with, by name; each is a grey line across the first panel.
        ax: Where to draw.

    Raises:
        UserError: The log has no line, or none with these keys.
    """
    records, asked = read_log(source), names is not None
    if names is None:
        keys = dict.fromkeys(key for record in records for key in record)
        due = [key for key in PENALTIES if any(record.get(key) for record in records)]
        names = [key for key in keys if key.endswith("loss") or key in due]
    drawn = [name for name in names if any(record.get(name) is not None for record in records)]
    if not drawn:
        raise UserError(f"no loss to draw among {len(records)} lines; asked for {list(names)}")
    points = {
        name: [
            (record.get(against, number), record[name])
            for number, record in enumerate(records, 1)
            if record.get(name) is not None
        ]
        for name in drawn
    }
    distances = [] if ax else [[name] for name in drawn if name in DISTANCES]
    losses = [name for name in drawn if [name] not in distances]
    groups = [losses] if losses else []
    if losses and not (ax or asked):
        groups = _of_one_size({name: points[name] for name in losses})
    groups += distances
    axes = [ax] if ax else panels(1, len(groups), max(6, 4 * len(groups)), 3.5)[1][0]
    known = any(against in record for record in records)
    for panel, group in zip(axes, groups, strict=True):
        for name in group:
            _draw_line(panel, points[name], printed_name(name))
        panel.set_xlabel(against.replace("_", " ") if known else "epoch")
        if known and against == "images_seen":
            count_images(panel)
        panel.legend()
        if group in distances:
            panel.set_ylabel(printed_name(group[0]))
    for name, level in (levels or {}).items():
        axes[0].axhline(level, color="0.5", linestyle="-", linewidth=0.8)
        place = axes[0].get_yaxis_transform()  # a fraction of the width, and a loss
        axes[0].text(1.01, level, name, va="center", fontsize=8, transform=place)  # on no curve
    if losses:
        axes[0].set_ylabel("loss")
    return figure_of(axes[0])


def _draw_line(ax: Axes, points: Sequence[tuple[float, float]], label: str) -> None:
    """A line through points, which are marked where they are few: one alone would be invisible."""
    marker = "o" if len(points) <= FEW else ""
    ax.plot(*zip(*points, strict=True), marker=marker, markersize=4, label=label)


def _of_one_size(points: Mapping[str, Sequence[tuple[float, float]]]) -> list[list[str]]:
    """The names of curves that fit into one panel; a loss and its `val_` always do."""
    together: dict[str, list[str]] = {}
    for name in points:
        together.setdefault(name.removeprefix("val_"), []).append(name)
    sizes = [
        np.median([abs(y) for name in names for _, y in points[name]])
        for names in together.values()
    ]
    fit = max(sizes) <= FLAT * min(sizes)
    return [list(points)] if fit else list(together.values())


@styled
def compare_runs(
    folders: Iterable[str | os.PathLike] | Mapping[str, str | os.PathLike],
    name: str | None = None,
    ax: Axes | None = None,
) -> Figure:
    """One loss of several runs over the images they saw. The points of a short run are marked.

    Args:
        folders: Run folders; the legend has their names, with those above them where two agree, or
            the keys of a mapping.
        name: Key in their logs; by default the first of `val_loss`, `loss` and `generator_loss`
            that all of them have.
        ax: Where to draw.

    Raises:
        UserError: No folder is given, one has no log, or the runs do not share such a key.
    """
    if isinstance(folders, str | os.PathLike):
        raise UserError(f"folders {os.fspath(folders)!r}: expected several, such as [{folders!r}]")
    logs = {run: read_log(folder) for run, folder in _named(folders).items()}
    if not logs:
        raise UserError("no run to compare: give at least one folder")
    shared = set.intersection(*({k for line in log for k in line} for log in logs.values()))
    wanted = [name] if name else LOSSES
    key = next((key for key in wanted if key in shared), None)
    if key is None:
        raise UserError(f"the runs have none of {', '.join(wanted)} in common; they share {shared}")
    ax = ax or new_axes(6, 3.5)
    for run, log in logs.items():
        lines = [line for line in log if key in line]
        _draw_line(ax, [(x["images_seen"], x[key]) for x in lines], run)
    count_images(ax)
    ax.set_ylabel(key.replace("_", " "))
    ax.legend()
    return figure_of(ax)


def _named(
    folders: Iterable[str | os.PathLike] | Mapping[str, str | os.PathLike],
) -> Mapping[str, str | os.PathLike]:
    """Run folders by their last names, or by as many of them as tell all of them apart."""
    if isinstance(folders, Mapping):
        return folders
    paths = list(dict.fromkeys(map(Path, folders)))  # the same one twice is one
    for names in range(1, max((len(path.parts) for path in paths), default=0) + 1):
        named = {str(Path(*path.parts[-names:])): path for path in paths}
        if len(named) == len(paths):
            return named
    return {str(path): path for path in paths}


@styled
def compare_families(runs: Mapping[str, Iterable[str | os.PathLike]]) -> Figure:
    """`compare_runs` with one panel per family, since their losses are not comparable.

    Args:
        runs: Run folders by family.

    Raises:
        UserError: As for `compare_runs`.
    """
    figure, axes = panels(1, len(runs), 6 * len(runs), 3.5)
    for ax, (family, folders) in zip(axes[0], runs.items(), strict=True):
        compare_runs(folders, ax=ax)
        ax.set_title(family)
    return figure


@styled
def over_training(runs: Mapping[str, tuple[Sequence[dict], Sequence[float]]], key: str) -> Figure:
    """A number of several logs over the images seen, and over hours.

    Args:
        runs: The lines of a log, and the hours at the end of each, by the name of the run.
        key: The number; lines without it are left out.
    """
    runs = {
        name: (log, hours)
        for name, (log, hours) in runs.items()
        if any(line.get(key) is not None for line in log)
    }
    below = len(runs) > MOST_INSIDE
    figure, ((left, right),) = panels(1, 2, 7.5, 3.2 + below * 0.1 * len(runs), sharey=True)
    for name, (log, hours) in runs.items():
        lines = [(x, hour) for x, hour in zip(log, hours, strict=True) if x.get(key) is not None]
        _draw_line(left, [(x["images_seen"], x[key]) for x, _ in lines], name)
        _draw_line(right, [(hour, x[key]) for x, hour in lines], name)
    count_images(left)
    right.set_xlabel("hours of training")
    right.locator_params(axis="x", nbins=4)
    left.set_ylabel(printed_name(key))
    names = left.get_lines(), list(runs)  # said, since a label that begins with _ is not shown
    if below:
        figure.legend(*names, loc="outside lower center", ncols=3, fontsize=7)
    else:
        left.legend(*names)
    return figure
