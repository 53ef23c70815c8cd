"""Precision and recall in the plane: the balls of one cloud over the points of another."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from facegen_keras.errors import UserError
from facegen_keras.figures.theme import COLOURS, MARKERS, panels, styled

PHOTOS, SAMPLES = 2, 4  # numbers of their colours and markers


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
    handles.append(
        Line2D([], [], ls="none", color="0.4", marker="o", mfc="none", label="hollow: in no ball")
    )
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
