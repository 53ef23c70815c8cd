"""The latent space of a VAE: how it is used, and what it costs."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from facegen_keras.errors import UserError
from facegen_keras.figures.theme import (
    COLOURS,
    DASHES,
    MARKERS,
    figure_of,
    new_axes,
    panels,
    styled,
)

REACH = 4.0  # standard deviations drawn on either side of a prior's mean
BINS = 33


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
    axes.flat[0].legend(fontsize=6, loc="upper left", handlelength=1)
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
