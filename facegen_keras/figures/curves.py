"""Curves of what a training logged."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from facegen_keras.errors import UserError
from facegen_keras.figures.theme import figure_of, new_axes, panels, styled


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
    ax: Axes | None = None,
) -> Figure:
    """Losses over training.

    Args:
        source: A run folder, a `log.jsonl`, or its lines as dicts (`History.history` transposed).
        names: Keys to draw; by default every one that ends in "loss".
        against: Key of the horizontal axis; where it is missing, the number of the line.
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
    ax = ax or new_axes(6, 3.5)
    for name in drawn:
        points = [
            (record.get(against, number), record[name])
            for number, record in enumerate(records, 1)
            if record.get(name) is not None
        ]
        ax.plot(*zip(*points, strict=True), label=name.replace("_", " "))
    known = any(against in record for record in records)
    ax.set_xlabel(against.replace("_", " ") if known else "epoch")
    ax.set_ylabel("loss")
    ax.legend()
    return figure_of(ax)


@styled
def compare_runs(
    folders: Iterable[str | os.PathLike], name: str | None = None, ax: Axes | None = None
) -> Figure:
    """One loss of several runs over the images they saw.

    Args:
        folders: Run folders.
        name: Key in their logs; by default the first of `val_loss`, `loss` and `generator_loss`
            that all of them have.
        ax: Where to draw.

    Raises:
        UserError: A folder has no log, or the runs do not share such a key.
    """
    logs = {Path(folder).name: read_log(folder) for folder in folders}
    shared = set.intersection(*({k for line in log for k in line} for log in logs.values()))
    wanted = [name] if name else ["val_loss", "loss", "generator_loss"]
    key = next((key for key in wanted if key in shared), None)
    if key is None:
        raise UserError(f"the runs have none of {', '.join(wanted)} in common; they share {shared}")
    ax = ax or new_axes(6, 3.5)
    for run, log in logs.items():
        lines = [line for line in log if key in line]
        ax.plot([x["images_seen"] for x in lines], [x[key] for x in lines], label=run)
    ax.set_xlabel("images seen")
    ax.set_ylabel(key.replace("_", " "))
    ax.legend()
    return figure_of(ax)


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
