"""Distances between sets of faces: what they measure, what changes them, and how models compare."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatterSciNotation, LogLocator, NullFormatter

from facegen_keras.errors import UserError
from facegen_keras.figures.theme import (
    BLACK,
    COLOURS,
    DASHES,
    MARKERS,
    figure_of,
    hide_axes,
    look_of,
    new_axes,
    panels,
    styled,
)

if TYPE_CHECKING:
    from facegen_keras.metrics import Number, Report, SampleSizeCurve

INTERVAL = 1.96  # standard errors to each side: 95 % of a normal distribution
APART = 0.07  # fraction of the axis between two numbers below it
WIDEST = 32  # letters in a line of a panel's title
# Of the table of one model: where its label, value, interval and direction stand.
COLUMNS = ((0, "left"), (0.57, "right"), (0.59, "left"), (0.76, "left"))
FITTING = 42  # letters that fit into the first of these columns, at the least width
# What no value can exceed: an interval ends there.
RANGES = dict.fromkeys(("precision", "recall", "coverage"), (0.0, 1.0))
RANGES |= dict.fromkeys(("fid", "fd", "density"), (0.0, np.inf))
PANELS = 4  # numbers side by side in a comparison of models


@styled
def distortion_curves(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    ylabel: str,
    references: Mapping[str, float] | None = None,
) -> Figure:
    """A distance against the strength of a distortion, one panel per kind of distortion.

    Args:
        curves: Strengths and distances by the name of the distortion with its unit. The first
            strength is the weakest; where the numbers fall (JPEG quality), the axis is inverted.
        ylabel: Name of the distance.
        references: Distances drawn as horizontal lines in every panel, by name.
    """
    figure, axes = panels(1, len(curves), 2.5 * len(curves), 2.6, sharey=True)
    for ax, (distortion, (strengths, distances)) in zip(axes[0], curves.items(), strict=True):
        ax.plot(strengths, distances, marker=MARKERS[0], markersize=4, label=None)
        for number, (name, value) in enumerate((references or {}).items(), 1):
            ax.axhline(value, color=COLOURS[number], linestyle=DASHES[number], label=name)
        ax.set_xticks(list(strengths))
        if strengths[0] > strengths[-1]:
            ax.invert_xaxis()
        ax.set_xlabel(distortion)
    axes[0, 0].set_ylim(bottom=0)  # shared, so only after the last curve
    axes[0, 0].set_ylabel(ylabel)
    if references:
        axes[0, 0].legend()
    return figure


@styled
def sample_size_curves(
    curves: Mapping[str, SampleSizeCurve],
    ylabel: str,
    truth: float | None = None,
    line: bool = True,
    ax: Axes | None = None,
) -> Figure:
    """A distance against the number of images, over 1/n, with the straight line to 1/n = 0.

    Args:
        curves: From `metrics.distance_by_count`, by name. Bars are one standard deviation over the
            random subsets.
        ylabel: Name of the distance.
        truth: The distance in the limit of infinitely many images, where it is known.
        line: Draw the lines. They are wrong for an unbiased distance, and with fewer images than
            features the extrapolated value means nothing.
        ax: Where to draw.
    """
    ax = ax or new_axes(4.5, 3)
    counts = np.unique(np.concatenate([curve.counts for curve in curves.values()]))
    for number, (name, curve) in enumerate(curves.items()):
        ax.errorbar(
            1 / curve.counts,
            curve.values,
            curve.spread,
            ls="none",
            color=COLOURS[number],
            marker=MARKERS[number],
            markersize=4,
            capsize=2,
            label=f"{name}; the line ends at {curve.limit:.3g}" if line else name,
        )
        if line:
            x = np.array([0, 1 / curve.counts[0]])
            dash = DASHES[number]
            ax.plot(x, curve.limit + curve.slope * x, color=COLOURS[number], linestyle=dash)
    if truth is not None:
        ax.axhline(truth, color="0.5", linewidth=1, label=f"truth {truth:.3g}")
    shown: list[int] = []  # over 1/n the largest counts are too close together for all numbers
    for count in counts.tolist():
        if 1 / count > APART / counts[0] and all(
            1 / x - 1 / count > APART / counts[0] for x in shown
        ):
            shown.append(count)
    ax.set_xticks([0, *(1 / np.array(shown))], ["∞", *(f"{count:,}" for count in shown)])
    ax.set_xlim(left=0)
    ax.set_xlabel("images on each side (axis: 1/n)")
    ax.set_ylabel(ylabel)
    ax.legend()
    return figure_of(ax)


@styled
def model_comparison(
    report: Report,
    keys: Sequence[str] | None = None,
    looks: Mapping[str, int] | None = None,
    ranges: Mapping[str, tuple[float, float]] | None = None,
) -> Figure:
    """The table of several models as a figure: one panel per number, one line per model.

    Points carry their value and, where an error is known, a bar of 95 % (1.96 standard errors to
    each side, cut where no value can be). Lines whose names agree up to a comma, such as those of
    one model with other seeds, share a marker. One model alone is a table of its numbers: there is
    nothing to compare them with.

    Args:
        report: A `metrics.Report`.
        keys: Numbers to draw, such as `("fd", "kd", "precision", "recall")`; by default all.
        looks: Number of the colour and the marker by name (up to a comma), so that a model has the
            same ones in every figure; other names are black. By default all are black, and markers
            go by the order of the report.
        ranges: Ends of the axis of a number, by key; by default it ends beside the values.

    Raises:
        UserError: A key that was not measured.
    """
    keys = list(keys or report.keys)
    if unknown := [key for key in keys if key not in report.keys]:
        raise UserError(f"{', '.join(unknown)} was not measured; there are {report.keys}")
    names = report.short_names
    if len(names) == 1:
        return _numbers_of_one(report, keys, names[0])
    columns = min(PANELS, len(keys))
    rows = -(-len(keys) // columns)
    size = (1.2 + 2.1 * columns, (0.9 + 0.42 * len(names)) * rows)
    figure, axes = panels(rows, columns, *size, sharey=True)
    families = [name.partition(",")[0] for name in names]
    distinct = list(dict.fromkeys(families))
    drawn = [look_of(family, looks, distinct.index(family)) for family in families]
    colours = [COLOURS[look] if looks else BLACK for look in drawn]
    for ax, key in zip(axes.flat, keys, strict=False):
        for row, evaluation in enumerate(report.evaluations):
            if number := evaluation.numbers.get(key):
                _draw_number(ax, row, number, RANGES.get(key), (MARKERS[drawn[row]], colours[row]))
        lower = next(e.numbers[key].lower_is_better for e in report.evaluations if key in e.numbers)
        label = textwrap.fill(report.label(key), WIDEST)
        ax.set_title(f"{label}\n{'lower' if lower else 'higher'} is better", fontsize=8)
        ax.margins(x=0.25)
        if ends := (ranges or {}).get(key):
            ax.set_xlim(ends[0] - 0.1 * (ends[1] - ends[0]), ends[1] + 0.1 * (ends[1] - ends[0]))
        ax.locator_params(axis="x", nbins=4)
        ax.grid(False, axis="y")
    for ax in axes.flat[len(keys) :]:
        ax.axis("off")
    axes[0, 0].set_yticks(range(len(names)), names)
    axes[0, 0].set_ylim(len(names) - 0.5, -0.7)
    return figure


def _numbers_of_one(report: Report, keys: Sequence[str], name: str) -> Figure:
    """A table: the name of each number, its value with its 95 %, and which way is better."""
    lines = []
    for key in keys:
        number = report.evaluations[0].numbers[key]
        bar = "" if not number.error else f"± {INTERVAL * number.error:.2g}"
        better = "lower is better" if number.lower_is_better else "higher is better"
        lines.append((number.label, str(number).partition(" ")[0], bar, better))
    longest = max(len(line[0]) for line in lines)
    ax = new_axes(5.2 * max(1.0, longest / FITTING), 0.6 + 0.28 * len(lines))
    hide_axes(ax)
    ax.set_xlim(0, 1)
    ax.set_ylim(len(lines) - 0.5, -0.5)
    ax.set_title(f"{name} (± 95 %)", loc="left", fontsize=9)
    for row, words in enumerate(lines):
        for (x, side), word in zip(COLUMNS, words, strict=True):
            ax.text(x, row, word, ha=side, va="center", fontsize=8)
    return figure_of(ax)


def _draw_number(
    ax: Axes,
    row: int,
    number: Number,
    limits: tuple[float, float] | None,
    look: tuple[str, str],
) -> None:
    value, error = number.value, number.error
    bar = INTERVAL * (error or 0.0)
    low, high = limits or (-np.inf, np.inf)
    bars = [[min(bar, max(value - low, 0.0))], [min(bar, max(high - value, 0.0))]]
    ax.errorbar(value, row, xerr=bars, marker=look[0], color=look[1], ms=5, capsize=3)
    # Here, because it imports SciPy, and a training draws no distance.
    from facegen_keras.metrics.result import number_text

    digits = number_text(value, error)
    ax.annotate(digits, (value, row), (0, 7), ha="center", fontsize=8, textcoords="offset points")


@styled
def distance_against_compute(
    models: Mapping[str, tuple[float, float]],
    ylabel: str,
    xlabel: str = "floating-point operations of the training, counted",
    floor: float | None = None,
    floor_label: str = "photos against photos",
    ax: Axes | None = None,
    looks: Mapping[str, int] | None = None,
) -> Figure:
    """A distance against the compute it cost: one point per model, on a logarithmic axis.

    Args:
        models: Compute and distance by name; the operations are those of `models.work` for an
            image, times the images seen. A distance with an `.error` (`metrics.Estimate`) gets a
            bar of 95 %.
        ylabel: Name of the distance.
        xlabel: Name of the compute.
        floor: The best possible value, such as the distance of photos from photos.
        floor_label: Name of that value.
        ax: Where to draw.
        looks: Number of the colour and the marker by name, so that a model has the same ones in
            every figure; other names are black. By default in the order given.

    Raises:
        UserError: No model is given, or a compute is not above zero.
    """
    if not models or min(compute for compute, _ in models.values()) <= 0:
        raise UserError(
            "distance against compute: give at least one model, each with a compute above 0"
        )
    ax = ax or new_axes(5, 3.2)
    for number, (name, (compute, distance)) in enumerate(models.items()):
        look = look_of(name, looks, number)
        error = getattr(distance, "error", None)
        ax.errorbar(
            compute,
            distance,
            None if error is None else INTERVAL * error,
            ls="none",
            color=COLOURS[look],
            marker=MARKERS[look],
            markersize=7,
            capsize=3,
            label=name,
        )
    if floor is not None:
        ax.axhline(floor, color="0.4", linestyle=DASHES[2], label=floor_label)
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
    ax.xaxis.set_major_formatter(LogFormatterSciNotation(minor_thresholds=(np.inf, np.inf)))
    ax.xaxis.set_minor_formatter(NullFormatter())  # labels of a short axis would overlap
    ax.margins(x=0.3)
    ax.set_ylim(bottom=0, top=1.15 * max(float(value) for _, value in models.values()))
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    ax.legend()
    return figure_of(ax)
