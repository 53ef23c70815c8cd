"""Likeness of faces: measures of it side by side, and what a weight trades it for."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from facegen_keras.errors import UserError
from facegen_keras.figures.theme import COLOURS, MARKERS, errors_of, figure_of, new_axes, styled


@styled
def likeness_ratios(
    ratios: Mapping[str, Mapping[str, float]], xlabel: str, ax: Axes | None = None
) -> Figure:
    """Ratios of two distances on a log scale, one row per measure, with a line at 1.

    Args:
        ratios: By pair of changes and by measure. Numbers with an `.error` get a bar of one
            standard error to each side.
        xlabel: What is divided by what.
        ax: Where to draw.

    Raises:
        UserError: There is nothing to draw, or the pairs have other measures.
    """
    rows = list(next(iter(ratios.values()), []))
    if not rows or any(list(values) != rows for values in ratios.values()):
        raise UserError("likeness_ratios: expected the same measures, one or more, for every pair")
    ax = ax or new_axes(6, 1 + 0.35 * len(rows))
    for number, (pair, values) in enumerate(ratios.items()):
        ax.errorbar(
            list(values.values()),
            np.arange(len(rows)) + 0.12 * (number - (len(ratios) - 1) / 2),
            xerr=errors_of(values.values()),
            color=COLOURS[number],
            marker=MARKERS[number],
            linestyle="none",
            capsize=2,
            label=pair,
        )
    ax.axvline(1, color="0.4", linestyle="-", linewidth=0.8)
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
    ax.set_yticks(range(len(rows)), rows)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_xlabel(xlabel)
    ax.legend()
    return figure_of(ax)


@styled
def trade_off(
    points: Mapping[str, tuple[float, float]],
    xlabel: str,
    ylabel: str,
    sweep: Sequence[str] = (),
    ax: Axes | None = None,
) -> Figure:
    """Models as named points between two numbers, with a bar of one standard error in each
    direction.

    Args:
        points: Both numbers by the model's name. Numbers with an `.error` get bars.
        xlabel: Of the first number.
        ylabel: Of the second number.
        sweep: Names of points that differ in one setting, in its order: they have one colour, and
            a thin line joins them.
        ax: Where to draw.

    Raises:
        UserError: There is no point, or the sweep names one that there is not.
    """
    if not points:
        raise UserError("trade_off: no point to draw")
    if unknown := [name for name in sweep if name not in points]:
        raise UserError(f"trade_off: no point {', '.join(unknown)}; there are {', '.join(points)}")
    ax = ax or new_axes(5, 3.3)
    if sweep:
        line = [[float(number) for number in points[name]] for name in sweep]
        ax.plot(*zip(*line, strict=True), color=COLOURS[0], linestyle="-", linewidth=0.8)
    for name, (x, y) in points.items():
        swept = name in sweep
        ax.errorbar(
            x,
            y,
            xerr=getattr(x, "error", None),
            yerr=getattr(y, "error", None),
            color=COLOURS[0 if swept else 2],
            marker=MARKERS[0 if swept else 1],
            linestyle="none",
            capsize=2,
        )
        below = swept and list(sweep).index(name) % 2  # its neighbours may lie close together
        end = y + (-1 if below else 1) * (getattr(y, "error", None) or 0)
        ax.annotate(
            name,
            (x, end),
            (0, -6 if below else 6),
            textcoords="offset points",
            va="top" if below else "bottom",
            ha="center",
            fontsize=8,
        )
    ax.margins(0.12)
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    return figure_of(ax)
