"""Toys in the plane and on a line: Gaussians, clouds, and what precision and recall count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from facegen_keras.errors import UserError
from facegen_keras.figures.theme import COLOURS, DASHES, MARKERS, panels, styled

if TYPE_CHECKING:
    from matplotlib.typing import LineStyleType

    from facegen_keras.metrics import Statistics

REACH = 3.5  # standard deviations of a density that are drawn
PHOTOS, SAMPLES = 2, 4  # numbers of their colours and markers


@styled
def gaussian_pairs(
    pairs: Sequence[tuple[Statistics, Statistics]], labels: tuple[str, str] = ("a", "b")
) -> Figure:
    """Pairs of Gaussians, one panel each, with their Fréchet distance and its two terms.

    Args:
        pairs: Statistics of one feature (drawn as densities) or of two (as the ellipses of one and
            of two standard deviations).
        labels: Of the two Gaussians of every pair.

    Raises:
        UserError: More than two features, or no pair.
    """
    # Here, because it imports SciPy, and a training draws no distance.
    from facegen_keras.metrics import frechet_distance

    if not pairs or any(stats.dim > 2 for pair in pairs for stats in pair):
        raise UserError("gaussian_pairs draws pairs of one or two features; give at least one pair")
    flat = all(stats.dim == 2 for pair in pairs for stats in pair)
    height = 2.7 if flat else 2.4
    figure, axes = panels(1, len(pairs), 2.3 * len(pairs), height, sharex=True, sharey=True)
    for ax, pair in zip(axes[0], pairs, strict=True):
        for number, (stats, label) in enumerate(zip(pair, labels, strict=True)):
            draw = _ellipses if stats.dim == 2 else _density
            draw(ax, stats, COLOURS[(PHOTOS, SAMPLES)[number]], DASHES[number], label)
        if flat:
            ax.set_aspect("equal")
        ax.set_xlabel("first feature" if flat else "feature")
        total = frechet_distance(*pair)
        moved = float(((pair[0].mean - pair[1].mean) ** 2).sum())
        shape = max(total - moved, 0.0)  # rounding
        ax.set_title(f"FD = {total:.2f}\nmeans {moved:.2f} + spreads {shape:.2f}", fontsize=8)
    if not flat:
        axes[0, 0].set_ylim(bottom=0)  # shared, so only after the last density
    axes[0, 0].set_ylabel("second feature" if flat else "density")
    _legend_below(figure)
    return figure


def _density(ax: Axes, stats: Statistics, colour: str, dash: LineStyleType, label: str) -> None:
    mean, deviation = float(stats.mean[0]), float(np.sqrt(stats.covariance[0, 0]))
    x = np.linspace(mean - REACH * deviation, mean + REACH * deviation, 200)
    y = np.exp(-0.5 * ((x - mean) / deviation) ** 2) / (deviation * np.sqrt(2 * np.pi))
    ax.plot(x, y, color=colour, linestyle=dash, label=label)
    ax.set_yticks([])


def _ellipses(ax: Axes, stats: Statistics, colour: str, dash: LineStyleType, label: str) -> None:
    values, vectors = np.linalg.eigh(stats.covariance)
    angle = np.linspace(0, 2 * np.pi, 100)
    circle = np.stack([np.cos(angle), np.sin(angle)])
    for radius in (1, 2):
        x, y = stats.mean[:, None] + radius * vectors @ (np.sqrt(values)[:, None] * circle)
        ax.plot(x, y, color=colour, linestyle=dash, label=label if radius == 1 else None)


@styled
def point_clouds(
    clouds: Mapping[str, np.ndarray],
    behind: np.ndarray | None = None,
    labels: tuple[str, str] = ("samples", "photos"),
) -> Figure:
    """Sets of points in the plane, one panel each, on common axes.

    Args:
        clouds: `(n, 2)` by title.
        behind: Points that stand in grey behind each of the sets, `(m, 2)`.
        labels: Of the sets and of the points behind them, if there are any.
    """
    figure, axes = panels(1, len(clouds), 2.3 * len(clouds), 2.8, sharex=True, sharey=True)
    for ax, (title, points) in zip(axes[0], clouds.items(), strict=True):
        ax.plot(*np.asarray(points).T, ".", markersize=2, color=COLOURS[SAMPLES], label=labels[0])
        if behind is not None:
            ax.plot(
                *np.asarray(behind).T, ".", markersize=2, color="0.7", zorder=1, label=labels[1]
            )
        ax.set_aspect("equal")
        ax.set_xlabel("first feature")
        ax.set_title(title, fontsize=8)
    axes[0, 0].set_ylabel("second feature")
    if behind is not None:
        _legend_below(figure, markerscale=4)
    return figure


def _legend_below(figure: Figure, markerscale: float | None = None) -> None:
    """One legend for all panels, of what the first holds."""
    handles, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2, markerscale=markerscale)


@styled
def neighbour_balls(photos: np.ndarray, samples: np.ndarray, k: int = 3) -> Figure:
    """What precision and recall count, in two panels, for points in the plane.

    Left the balls of the photos with the samples, right the balls of the samples with the photos. A
    ball reaches to the k-th neighbour of its centre in the same cloud. Points in a ball are filled,
    the others are hollow.

    Args:
        photos: `(n, 2)`.
        samples: `(m, 2)`.
        k: Neighbours.

    Raises:
        UserError: The points are not in the plane, or there are not more of them than k.
    """
    photos, samples = np.asarray(photos, float), np.asarray(samples, float)
    for points in (photos, samples):
        if points.ndim != 2 or points.shape[1] != 2 or len(points) <= k:
            raise UserError(f"points of shape {points.shape}: expected (n, 2), n above {k}")
    figure, axes = panels(1, 2, 7.2, 3.6, sharex=True, sharey=True)
    left, right = axes[0]
    inside = _balls(left, photos, samples, k, (PHOTOS, SAMPLES))
    left.set_title(f"precision: {inside} of {len(samples)} samples are in a ball of a photo")
    inside = _balls(right, samples, photos, k, (SAMPLES, PHOTOS))
    right.set_title(f"recall: {inside} of {len(photos)} photos are in a ball of a sample")
    for ax in (left, right):
        ax.set_aspect("equal")
        ax.title.set_fontsize(8)
        ax.set_xlabel("first feature")
    left.set_ylabel("second feature")
    handles = [
        Line2D([], [], ls="none", color=COLOURS[number], marker=MARKERS[number], label=name)
        for number, name in ((PHOTOS, "photos"), (SAMPLES, "samples"))
    ]
    hollow, marker = "hollow: in no ball", MARKERS[PHOTOS]
    handles.append(Line2D([], [], ls="none", color="0.4", marker=marker, mfc="none", label=hollow))
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


def _balls(
    ax: Axes, centres: np.ndarray, points: np.ndarray, k: int, numbers: tuple[int, int]
) -> int:
    """Draw the balls and both clouds; return how many of the points are in a ball."""
    radii = np.sort(_apart(centres, centres), axis=1)[:, k]  # column 0 is the centre itself
    inside = (_apart(points, centres) <= radii).any(axis=1)
    of_balls, of_points = (COLOURS[number] for number in numbers)
    balls = EllipseCollection(
        2 * radii,
        2 * radii,
        np.zeros(len(radii)),
        units="xy",
        offsets=centres,
        offset_transform=ax.transData,
        facecolor=(of_balls, 0.06),
        edgecolor=(of_balls, 0.35),
        linewidth=0.6,
    )
    ax.add_collection(balls)
    ax.plot(*centres.T, ls="none", marker=MARKERS[numbers[0]], ms=2.5, color=of_balls, alpha=0.5)
    for these, fill in ((inside, of_points), (~inside, "white")):
        marker = MARKERS[numbers[1]]
        ax.plot(*points[these].T, ls="none", marker=marker, ms=5, color=of_points, mfc=fill)
    ends = np.concatenate([centres - radii[:, None], centres + radii[:, None], points])
    ax.update_datalim(ends)
    ax.autoscale_view()
    return int(inside.sum())


def _apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.linalg.norm(a[:, None] - b[None], axis=2)
