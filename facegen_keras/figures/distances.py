"""Distances between sets of faces: what they measure, what moves them, and who is ahead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from facegen_keras.errors import UserError
from facegen_keras.figures.grids import INCH, image_grid
from facegen_keras.figures.theme import COLOURS, DASHES, MARKERS, new_axes, panels, styled

if TYPE_CHECKING:
    from facegen_keras.metrics import Report, SampleSizeCurve, Statistics

INTERVAL = 1.96  # standard errors to each side: 95 % of a normal distribution
APART = 0.07  # of the axis, between two numbers below it
REACH = 3.5  # standard deviations of a density that are drawn


@styled
def gaussian_pairs(
    pairs: Sequence[tuple[Statistics, Statistics]], labels: tuple[str, str] = ("a", "b")
) -> Figure:
    """Pairs of Gaussians, a panel each, with their Fréchet distance and its two parts.

    Args:
        pairs: Statistics of one feature (drawn as densities) or of two (as the ellipses of one and
            of two standard deviations).
        labels: Of the two Gaussians of every pair.

    Raises:
        UserError: More than two features, or no pair.
    """
    from facegen_keras.metrics import frechet_distance  # SciPy: a training draws no distance

    if not pairs or any(stats.dim > 2 for pair in pairs for stats in pair):
        raise UserError("gaussian_pairs draws pairs of one or two features; give at least one pair")
    flat = all(stats.dim == 2 for pair in pairs for stats in pair)
    options = {"sharex": True, "sharey": True}
    figure, axes = panels(1, len(pairs), 2.3 * len(pairs), 2.5 if flat else 2.2, **options)
    for ax, pair in zip(axes[0], pairs, strict=True):
        for number, (stats, label) in enumerate(zip(pair, labels, strict=True)):
            draw = _ellipses if stats.dim == 2 else _density
            draw(ax, stats, COLOURS[number], DASHES[number], label)
        if flat:
            ax.set_aspect("equal")
        total = frechet_distance(*pair)
        moved = float(((pair[0].mean - pair[1].mean) ** 2).sum())
        shape = max(total - moved, 0.0)  # rounding
        ax.set_title(f"FD = {total:.2f}\nmeans {moved:.2f} + spreads {shape:.2f}", fontsize=8)
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2)
    return figure


def _density(ax: Axes, stats: Statistics, colour: str, dash: Any, label: str) -> None:
    mean, deviation = float(stats.mean[0]), float(np.sqrt(stats.covariance[0, 0]))
    x = np.linspace(mean - REACH * deviation, mean + REACH * deviation, 200)
    y = np.exp(-0.5 * ((x - mean) / deviation) ** 2) / (deviation * np.sqrt(2 * np.pi))
    ax.plot(x, y, color=colour, linestyle=dash, label=label)
    ax.set_yticks([])


def _ellipses(ax: Axes, stats: Statistics, colour: str, dash: Any, label: str) -> None:
    values, vectors = np.linalg.eigh(stats.covariance)
    angle = np.linspace(0, 2 * np.pi, 100)
    circle = np.stack([np.cos(angle), np.sin(angle)])
    for radius in (1, 2):
        x, y = stats.mean[:, None] + radius * vectors @ (np.sqrt(values)[:, None] * circle)
        ax.plot(x, y, color=colour, linestyle=dash, label=label if radius == 1 else None)


@styled
def point_clouds(clouds: Mapping[str, np.ndarray]) -> Figure:
    """Sets of points in the plane, a panel each on common axes.

    Args:
        clouds: `(n, 2)` by what is written above.
    """
    options = {"sharex": True, "sharey": True}
    figure, axes = panels(1, len(clouds), 2.3 * len(clouds), 2.6, **options)
    for ax, (title, points) in zip(axes[0], clouds.items(), strict=True):
        ax.plot(*np.asarray(points).T, ".", markersize=2)
        ax.set_aspect("equal")
        ax.set_title(title, fontsize=8)
    return figure


@styled
def distortion_curves(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    ylabel: str,
    references: Mapping[str, float] | None = None,
) -> Figure:
    """A distance against the strength of a damage, a panel for each kind of damage.

    Args:
        curves: Strengths and distances by the damage and its unit; the first strength is the
            weakest, so that an axis of falling strengths (JPEG's quality) is turned around.
        ylabel: Name of the distance.
        references: Distances drawn as horizontal lines in every panel, by name.
    """
    figure, axes = panels(1, len(curves), 2.5 * len(curves), 2.6, sharey=True)
    for ax, (damage, (strengths, distances)) in zip(axes[0], curves.items(), strict=True):
        ax.plot(strengths, distances, marker=MARKERS[0], markersize=4, label=None)
        for number, (name, value) in enumerate((references or {}).items(), 1):
            ax.axhline(value, color=COLOURS[number], linestyle=DASHES[number], label=name)
        if strengths[0] > strengths[-1]:
            ax.invert_xaxis()
        ax.set_xlabel(damage)
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
        curves: Of `metrics.distance_by_count`, by name. Bars are one standard deviation of the
            random parts.
        ylabel: Name of the distance.
        truth: The distance of endlessly many images, where it is known.
        line: Draw the lines; they are wrong for a distance without bias, and with fewer images
            than features they are only a way to look.
        ax: Where to draw.
    """
    ax = ax or new_axes(4.5, 3)
    counts = np.unique(np.concatenate([curve.counts for curve in curves.values()]))
    for number, (name, curve) in enumerate(curves.items()):
        look = {"color": COLOURS[number], "marker": MARKERS[number], "markersize": 4, "capsize": 2}
        label = f"{name}; the line ends at {curve.limit:.3g}" if line else name
        ax.errorbar(1 / curve.counts, curve.values, curve.spread, ls="none", label=label, **look)
        if line:
            x = np.array([0, 1 / curve.counts[0]])
            dash = DASHES[number]
            ax.plot(x, curve.limit + curve.slope * x, color=COLOURS[number], linestyle=dash)
    if truth is not None:
        ax.axhline(truth, color="0.5", linewidth=1, label=f"truth {truth:.3g}")
    shown = []  # the largest counts lie close together over 1/n: not all have room for a number
    for count in counts:
        if 1 / count > APART / counts[0] and all(
            1 / x - 1 / count > APART / counts[0] for x in shown
        ):
            shown.append(count)
    ax.set_xticks([0, *(1 / np.array(shown))], ["∞", *(f"{count:,}" for count in shown)])
    ax.set_xlim(left=0)
    ax.set_xlabel("images on each side (axis: 1/n)")
    ax.set_ylabel(ylabel)
    ax.legend()
    return ax.figure


@styled
def model_comparison(report: Report, keys: Sequence[str] | None = None) -> Figure:
    """The table of several models as a figure: a panel per number, a line per model.

    Points with bars of 95 % (1.96 standard errors to each side) where an error is known, and the
    value written beside them.

    Args:
        report: A `metrics.Report`.
        keys: Numbers to draw, such as `("fd", "kd", "precision", "recall")`; by default all.

    Raises:
        UserError: A key that was not measured.
    """
    keys = list(keys or report.keys)
    if unknown := [key for key in keys if key not in report.keys]:
        raise UserError(f"{', '.join(unknown)} was not measured; there are {report.keys}")
    names = [evaluation.name for evaluation in report.evaluations]
    size = (1.2 + 2.1 * len(keys), 0.9 + 0.42 * len(names))
    figure, axes = panels(1, len(keys), *size, sharey=True)
    for ax, key in zip(axes[0], keys, strict=True):
        for row, evaluation in enumerate(report.evaluations):
            number = evaluation.numbers.get(key)
            if number is None:
                continue
            bar = INTERVAL * (number.error or 0.0)
            mark = MARKERS[row % len(MARKERS)]
            ax.errorbar(number.value, row, xerr=bar, color="black", marker=mark, ms=5, capsize=3)
            digits = f"{number.value:.3f}" if abs(number.value) < 10 else f"{number.value:.1f}"
            digits = digits.removeprefix("-") if float(digits) == 0 else digits
            ax.annotate(digits, (number.value, row), (0, 7), ha="center", fontsize=8,
                        textcoords="offset points")  # fmt: skip
        lower = next(e.numbers[key].lower_is_better for e in report.evaluations if key in e.numbers)
        ax.set_title(f"{report.label(key)}\n{'lower' if lower else 'higher'} is better", fontsize=8)
        ax.margins(x=0.25)
        ax.locator_params(axis="x", nbins=4)
        ax.grid(False, axis="y")
    axes[0, 0].set_yticks(range(len(names)), names)
    axes[0, 0].set_ylim(len(names) - 0.5, -0.7)
    return figure


@styled
def distance_against_compute(
    models: Mapping[str, tuple[float, float]],
    ylabel: str,
    xlabel: str = "compute: images seen × parameters of the generator",
    floor: float | None = None,
    floor_label: str = "photos against photos",
    ax: Axes | None = None,
) -> Figure:
    """What a distance cost: a point per model over its compute, on a logarithmic axis.

    Args:
        models: Compute and distance by name. A distance with an `.error` (`metrics.Estimate`) gets
            a bar of 95 %.
        ylabel: Name of the distance.
        xlabel: What the compute is.
        floor: The best that can be asked for, such as the distance of photos from photos.
        floor_label: Its name.
        ax: Where to draw.

    Raises:
        UserError: No model, or a compute that is not above zero.
    """
    if not models or min(compute for compute, _ in models.values()) <= 0:
        raise UserError("distance against compute: give at least one model, and computes above 0")
    ax = ax or new_axes(5, 3.2)
    for number, (name, (compute, distance)) in enumerate(models.items()):
        look = {"color": COLOURS[number % 7], "marker": MARKERS[number % 7], "markersize": 7}
        error = getattr(distance, "error", None)
        bar = None if error is None else INTERVAL * error
        ax.errorbar(compute, distance, bar, ls="none", capsize=3, label=name, **look)
    if floor is not None:
        ax.axhline(floor, color="0.4", linestyle=DASHES[2], label=floor_label)
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
    ax.xaxis.set_minor_formatter(NullFormatter())  # or labels of a short axis run into each other
    ax.margins(x=0.3)
    ax.set_ylim(bottom=0, top=1.15 * max(float(value) for _, value in models.values()))
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    ax.legend()
    return ax.figure


@styled
def nearest_photos(
    samples: np.ndarray,
    photos: Any,
    indices: np.ndarray,
    distances: np.ndarray,
    inch: float = INCH,
) -> Figure:
    """Samples, each beside the training photos nearest to it, with their distances.

    Args:
        samples: uint8 `(n, height, width, 3)`, a row each.
        photos: What `indices` count: `Faces` or uint8 images.
        indices, distances: `(n, k)`, nearest first, as `metrics.Memorisation` holds them.
        inch: Side of one image.
    """
    images, titles = [], []
    for sample, found, apart in zip(samples, indices, distances, strict=True):
        images += [sample, *(photos[int(index)] for index in found)]
        titles += ["sample", *(f"{distance:.2f}" for distance in apart)]
    return image_grid(np.stack(images), titles, columns=1 + np.shape(indices)[1], inch=inch)


@styled
def nearest_distances(
    distances: Mapping[str, np.ndarray], threshold: float | None = None, ax: Axes | None = None
) -> Figure:
    """How close each set comes to the training photos: cumulative shares, a line per set.

    Args:
        distances: Distance of each image to its nearest training photo, `(n,)` by name.
        threshold: Below it an image is called close; a vertical line.
        ax: Where to draw.
    """
    ax = ax or new_axes(5, 3.2)
    for name, values in distances.items():
        values = np.sort(values)
        share = np.arange(1, len(values) + 1) / len(values)
        ax.step([values[0], *values], [0, *(100 * share)], where="post", label=name)
    if threshold is not None:
        ax.axvline(threshold, color="0.4", linewidth=1, label="close: left of this line")
    ax.set_xlabel("distance to the nearest training photo")
    ax.set_ylabel("% of the images")
    ax.set_ylim(0, 102)
    ax.legend()
    return ax.figure
