"""The latent space of a VAE: how it is used, and what it costs."""

import math
import os
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from facegen_keras.errors import UserError
from facegen_keras.figures.curves import read_log
from facegen_keras.figures.pixels import face_width, keep_whole
from facegen_keras.figures.theme import (
    COLOURS,
    DASHES,
    DOTS,
    MARKERS,
    count_images,
    figure_of,
    hide_axes,
    new_axes,
    new_figure,
    panels,
    styled,
)
from facegen_keras.pictures import tile

REACH = 4.0  # standard deviations drawn on either side of a prior's mean
BINS = 33
SPEAKS = 0.1  # nats: a dimension that costs less tells the decoder next to nothing
PLANE_FACE = 96 / DOTS  # inches of a face on the plane of a latent, which is drawn twice
EPOCHS_DRAWN = 4  # lines that can still be told apart


@styled
def latent_histograms(
    latents: np.ndarray,
    dimensions: Sequence[int],
    notes: Sequence[str] | None = None,
    columns: int = 4,
) -> Figure:
    """Latents of photos, one histogram per dimension, against the density of N(0, 1).

    Args:
        latents: `(n, latent_dim)`, drawn from the photos' posteriors (`posterior.draw_latents`) or
            their means.
        dimensions: Dimensions to draw. Values beyond four standard deviations count into the
            outermost bins.
        notes: One per dimension, after its number in the title.
        columns: Histograms in a row.

    Raises:
        UserError: There are more or fewer notes than dimensions, or a dimension does not exist.
    """
    notes = [""] * len(dimensions) if notes is None else list(notes)
    if len(notes) != len(dimensions):
        raise UserError(f"{len(notes)} notes for {len(dimensions)} dimensions: expected one each")
    if not all(0 <= d < latents.shape[1] for d in dimensions):
        raise UserError(f"dimensions {list(dimensions)}: expected 0 to {latents.shape[1] - 1}")
    rows = -(-len(dimensions) // columns)
    figure, axes = panels(rows, columns, 1.8 * columns, 1.5 * rows, sharex=True, sharey=True)
    edges = np.linspace(-REACH, REACH, BINS + 1)
    z = np.linspace(-REACH, REACH, 200)
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    for ax, dimension, note in zip(axes.flat, dimensions, notes, strict=False):
        values = np.clip(latents[:, dimension], -REACH, REACH)
        ax.hist(values, edges, density=True, color=COLOURS[3], label="q(z)")
        ax.plot(z, density, color=COLOURS[2], label="N(0, 1)")
        ax.set_title(f"z[{dimension}] {note}".strip(), fontsize=8)
        ax.set_yticks([])
    for ax in list(axes.flat)[len(dimensions) :]:
        ax.axis("off")
    for ax in axes[:, 0]:
        ax.set_ylabel("density")
    figure.supxlabel("latent", fontsize=9)
    axes.flat[0].legend(fontsize=7, loc="upper left", handlelength=1)
    return figure


@styled
def kl_per_dimension(kl: np.ndarray, active: np.ndarray, ax: Axes | None = None) -> Figure:
    """The KL divergence of each latent dimension, largest first.

    Args:
        kl: `(latent_dim,)`, in nats, mean over photos.
        active: `(latent_dim,)`, whether the dimension's mean depends on the photo.
        ax: Where to draw.
    """
    ax = ax or new_axes(6, 3)
    order = np.argsort(kl)[::-1]
    rank = np.arange(1, len(kl) + 1)
    on = np.asarray(active, bool)[order]
    total = float(np.sum(kl))
    ax.bar(rank[on], kl[order][on], width=1.0, color=COLOURS[0], label=f"{on.sum()} active")
    # The KL of inactive units is nearly 0: bars of that height would be invisible.
    if not on.all():
        ax.plot(
            rank[~on],
            kl[order][~on],
            MARKERS[2],
            color=COLOURS[4],
            markersize=3,
            linestyle="none",
            label=f"{(~on).sum()} inactive",
        )
    ax.set_xlabel("latent dimension, by rank")
    ax.set_ylabel("KL divergence (nats)")
    ax.set_title(f"{total:.1f} nats in all")
    ax.legend()
    return figure_of(ax)


@styled
def rate_distortion(
    rates: Sequence[float],
    distortions: Sequence[float],
    labels: Sequence[str],
    ax: Axes | None = None,
) -> Figure:
    """Reconstruction loss against KL divergence: one point per model.

    Args:
        rates: KL divergences, in nats per image.
        distortions: Reconstruction losses, in nats per image.
        labels: One per point.
        ax: Where to draw.

    Raises:
        UserError: The three differ in length.
    """
    if not len(rates) == len(distortions) == len(labels):
        raise UserError(f"{len(rates)} rates, {len(distortions)} distortions, {len(labels)} labels")
    ax = ax or new_axes(4, 3)
    order = np.argsort(rates)
    ax.plot(np.asarray(rates)[order], np.asarray(distortions)[order], color="0.6", linewidth=0.8)
    for index, (rate, distortion, label) in enumerate(zip(rates, distortions, labels, strict=True)):
        marker, colour = MARKERS[index % len(MARKERS)], COLOURS[index % len(COLOURS)]
        ax.plot(rate, distortion, marker, color=colour, linestyle="none", label=label)
    ax.set_xlabel("rate: KL divergence (nats)")
    ax.set_ylabel("distortion:\nreconstruction loss (nats)")
    ax.legend()
    return figure_of(ax)


@styled
def beta_comparison(results: Mapping[str, Mapping[str, float | np.ndarray]]) -> Figure:
    """Models trained with different β: KL per dimension, and rate against distortion.

    Args:
        results: By label, a dict with `kl_per_dimension` `(latent_dim,)`, and `kl_loss` and
            `reconstruction_loss` on held-out photos, in nats per image.
    """
    figure, axes = panels(1, 2, 7.5, 3)
    left, right = axes[0]
    for index, (label, result) in enumerate(results.items()):
        kl = np.sort(np.asarray(result["kl_per_dimension"]))[::-1]
        style = {"color": COLOURS[index % 7], "linestyle": DASHES[index % 7]}
        left.plot(np.arange(1, len(kl) + 1), kl, label=label, **style)
    left.set_xlabel("latent dimension, by rank")
    left.set_ylabel("KL divergence (nats)")
    left.legend()
    rate_distortion(
        [float(result["kl_loss"]) for result in results.values()],
        [float(result["reconstruction_loss"]) for result in results.values()],
        list(results),
        ax=right,
    )
    return figure


@styled
def latent_use(source: str | os.PathLike | Iterable[dict]) -> Figure:
    """How the latent comes into use in a training, from what `LatentReport` logged.

    On the left the number of active units, and of dimensions that cost more than 0.1 nats, over the
    images seen. On the right the KL divergence of each dimension, largest first, after some epochs:
    the first, the last and at most two between them. Where neither number ever changes, the title
    says them, and the right panel stands alone.

    Args:
        source: A run folder, a `log.jsonl`, or its lines as dicts.

    Raises:
        UserError: The log does not exist, or no line of it is from a `LatentReport`.
    """
    lines = [line for line in read_log(source) if line.get("kl_per_dimension")]
    if not lines:
        raise UserError("no line of this log has kl_per_dimension: train with a LatentReport")
    active = [line["active_units"] for line in lines]
    speaking = [sum(kl > SPEAKS for kl in line["kl_per_dimension"]) for line in lines]
    latents = len(lines[0]["kl_per_dimension"])
    if len({*zip(active, speaking, strict=True)}) == 1:
        right = new_axes(5, 3)
        told = f"of {latents} latents, {active[0]} active, {speaking[0]} above {SPEAKS} nats"
        right.set_title(told, fontsize=9)
    else:
        _, ((left, right),) = panels(1, 2, 7.5, 3)
        seen = [line["images_seen"] for line in lines]
        left.plot(seen, active, marker=MARKERS[0], label="active")
        left.plot(seen, speaking, marker=MARKERS[1], label=f"above {SPEAKS} nats")
        left.set_ylim(0, 1.05 * latents)
        count_images(left)
        left.set_ylabel("latent dimensions")
        left.legend()
    chosen = np.linspace(0, len(lines) - 1, min(EPOCHS_DRAWN, len(lines))).round().astype(int)
    for index in chosen:
        kl = np.sort(lines[index]["kl_per_dimension"])[::-1]
        label = f"epoch {lines[index]['epoch']}: {kl.sum():.0f} nats"
        right.plot(np.arange(1, len(kl) + 1), kl, label=label)
    right.set_xlabel("latent dimension, by rank")
    right.set_ylabel("KL divergence (nats)")
    right.legend()
    return figure_of(right)


@styled
def latent_plane(faces: np.ndarray, codes: np.ndarray, values: np.ndarray, label: str) -> Figure:
    """A latent of two dimensions: what it decodes to, and where the codes of photos lie.

    Both panels are the unit square that the distribution function Φ of N(0, 1) makes of the plane,
    so that equal areas are equally likely under the prior, and a cell on the left is the same place
    as the cell on the right.

    Args:
        faces: uint8 `(n * n, height, width, 3)`, decoded at the middles of the cells: row by row
            from the top, where the second latent is largest.
        codes: `(photos, 2)`.
        values: `(photos,)`, which decides how dark the point of a photo is.
        label: What the values are, with their unit.

    Raises:
        UserError: The codes have not two dimensions, or the faces do not form a square.
    """
    side = math.isqrt(len(faces))
    if side * side != len(faces) or np.ndim(codes) != 2 or np.shape(codes)[1] != 2:
        raise UserError(
            f"{len(faces)} faces and codes of shape {np.shape(codes)}: expected n * n faces and "
            "codes (photos, 2)"
        )
    sheet = tile(faces, (side, side))
    inch = side * face_width(faces.shape[2], PLANE_FACE)
    figure = new_figure(2 * inch + 2.2, inch + 0.6)
    figure.set_layout_engine("none")  # the places below are exact

    def place(left: float, low: float, width: float, height: float) -> Axes:
        across, down = figure.get_size_inches()
        return figure.add_axes((left / across, low / down, width / across, height / down))

    left = place(0.4, 0.5, inch, inch)
    left.imshow(sheet, extent=(0, 1, 0, 1))
    hide_axes(left)
    keep_whole(left, sheet.shape[1], sheet.shape[0])
    right = place(inch + 1.2, 0.5, inch, inch)
    square = np.vectorize(math.erf)(np.asarray(codes, "float64") / math.sqrt(2)) / 2 + 0.5
    points = right.scatter(square[:, 0], square[:, 1], c=values, s=5, cmap="viridis", linewidths=0)
    names = ["0", *[""] * (side - 1), "1"]
    right.set_xticks(np.linspace(0, 1, side + 1), names)
    right.set_yticks(np.linspace(0, 1, side + 1), names)
    right.set(xlim=(0, 1), ylim=(0, 1))
    for ax in (left, right):
        ax.set_xlabel("Φ(first latent)")
        ax.set_ylabel("Φ(second latent)")
    bar = place(2 * inch + 1.35, 0.5, 0.12, inch)
    figure.colorbar(points, cax=bar, label=label)
    return figure
