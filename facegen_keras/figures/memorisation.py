"""Does a model copy its training photos? Samples beside their nearest photos, and the distances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase

from facegen_keras.errors import UserError
from facegen_keras.figures.grids import HEADING, SPACE, image_grid
from facegen_keras.figures.pixels import INCH
from facegen_keras.figures.theme import (
    COLOURS,
    DASHES,
    figure_of,
    look_of,
    new_axes,
    new_figure,
    styled,
)

if TYPE_CHECKING:
    from facegen_keras.metrics import Memorisation
    from facegen_keras.metrics.sources import ImageSet


@styled
def memorisation_overview(found: Memorisation, rows: int = 8) -> Figure:
    """The closest samples beside their nearest training photos, and all distances.

    Args:
        found: As `metrics.memorisation` returns it.
        rows: Samples shown, the closest first.

    Raises:
        UserError: Only distances were kept, not the images.
    """
    if found.samples is None or found.training is None:
        raise UserError("memorisation_overview shows samples and photos, and these have no images")
    closest = np.argsort(found.distances[:, 0])[:rows]
    width = (INCH + SPACE) * (1 + found.indices.shape[1])
    height = max(len(closest) * (INCH + HEADING), 3.2)
    figure = new_figure(width + 5, height)
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=[width, 5])[0]
    samples = np.stack([found.samples[int(index)] for index in closest])
    nearest_photos(
        samples, found.training, found.indices[closest], found.distances[closest], into=left
    )
    ax = right.subplots()
    sets = {"held-out photos": found.held_out, "samples": found.distances[:, 0]}
    nearest_distances(sets, found.threshold, ax=ax)
    ax.set_title(f"{100 * found.close:.1f} % of the samples are close")
    return figure


@styled
def nearest_photos(
    samples: np.ndarray,
    photos: ImageSet,
    indices: np.ndarray,
    distances: np.ndarray,
    inch: float = INCH,
    into: FigureBase | None = None,
    headings: Sequence[str] | None = None,
) -> FigureBase:
    """Samples, each beside the training photos nearest to it, with their distances.

    Args:
        samples: uint8 `(n, height, width, 3)`, one per row.
        photos: `Faces` or uint8 images that `indices` refer to.
        indices: Of the nearest photos, `(n, k)`, nearest first, as `metrics.Memorisation` has them.
        distances: Of these photos, `(n, k)`.
        inch: Side of one image.
        into: Draw into this figure or subfigure.
        headings: What each sample is; by default `sample`.
    """
    headings = ["sample"] * len(samples) if headings is None else headings
    images, titles = [], []
    for sample, heading, found, apart in zip(samples, headings, indices, distances, strict=True):
        images += [sample, *(photos[int(index)] for index in found)]
        titles += [heading, *(f"{distance:.2f}" for distance in apart)]
    columns = 1 + np.shape(indices)[1]
    return image_grid(np.stack(images), titles, columns, inch=inch, into=into)


@styled
def nearest_distances(
    distances: Mapping[str, np.ndarray],
    threshold: float | None = None,
    ax: Axes | None = None,
    looks: Mapping[str, int] | None = None,
) -> Figure:
    """How close each set comes to the training photos: a cumulative distribution per set.

    Args:
        distances: Distance of each image to its nearest training photo, `(n,)` by name.
        threshold: An image is called close below it; drawn as a vertical line.
        ax: Where to draw.
        looks: Number of the colour and the dash by name, so that a model has the same ones in every
            figure; other names are black. By default in the order given.
    """
    ax = ax or new_axes(5, 3.2)
    for number, (name, values) in enumerate(distances.items()):
        look = look_of(name, looks, number)
        values = np.sort(values)
        percent = 100 * np.arange(1, len(values) + 1) / len(values)
        (line,) = ax.step([values[0], *values], [0, *percent], where="post", label=name)
        line.set(color=COLOURS[look], linestyle=DASHES[look])
    if threshold is not None:
        ax.axvline(threshold, color="0.4", linewidth=1, label="close: left of this line")
    ax.set_xlabel("distance to the nearest image of the set")
    ax.set_ylabel("% of the images, cumulative")
    ax.set_ylim(0, 102)
    ax.legend()
    return figure_of(ax)
