"""What StyleGAN2's truncation and layers do, as curves."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from facegen_keras.errors import UserError
from facegen_keras.figures.theme import (
    COLOURS,
    DASHES,
    MARKERS,
    errors_of,
    figure_of,
    new_axes,
    styled,
)


@styled
def truncation_curves(
    psis: Sequence[float],
    curves: Mapping[str, Sequence[float]],
    label: str = "fraction",
    ax: Axes | None = None,
) -> Figure:
    """Measurements against truncation ψ, such as precision and recall.

    Args:
        psis: Values of truncation ψ.
        curves: One number for each ψ, by the name of what was measured. Numbers with an `.error`
            (`metrics.Estimate`) get bars of one standard error.
        label: Of the vertical axis.
        ax: Where to draw.

    Raises:
        UserError: A curve has more or fewer numbers than there are ψ.
    """
    ax = ax or new_axes(5, 3.3)
    for number, (name, values) in enumerate(curves.items()):
        if len(values) != len(psis):
            raise UserError(f"{name}: {len(values)} numbers for {len(psis)} ψ; expected one each")
        ax.errorbar(
            psis,
            values,
            errors_of(values),
            color=COLOURS[number % len(COLOURS)],
            linestyle=DASHES[number % len(DASHES)],
            marker=MARKERS[number % len(MARKERS)],
            markersize=4,
            capsize=2,
            label=name,
        )
    ax.set_xlabel("truncation ψ")
    ax.set_ylabel(label)
    ax.legend()
    return figure_of(ax)


@styled
def sizes_by_layer(
    sizes: Mapping[str, Mapping[str, np.ndarray]],
    label: str = "size of the activations (root mean square)",
    ax: Axes | None = None,
) -> Figure:
    """How large something is in each layer, on a logarithmic axis.

    Args:
        sizes: For each name of a curve: numbers above 0 of several faces `(n,)` by the name of a
            layer, all curves with the same layers. The line is their median, the band reaches from
            the smallest to the largest.
        label: Of the vertical axis.
        ax: Where to draw.

    Raises:
        UserError: The curves differ in their layers.
    """
    layers = {tuple(curve) for curve in sizes.values()}
    if len(layers) != 1:
        raise UserError(f"curves over {len(layers)} lists of layers: expected one for all")
    names = layers.pop()
    ax = ax or new_axes(6, 3.3)
    places = np.arange(len(names))
    for number, (name, curve) in enumerate(sizes.items()):
        values = np.array([curve[layer] for layer in names])
        colour, dash = COLOURS[number % len(COLOURS)], DASHES[number % len(DASHES)]
        ax.plot(places, np.median(values, axis=1), color=colour, linestyle=dash, label=name)
        low, high = values.min(axis=1), values.max(axis=1)
        ax.fill_between(places, low, high, color=colour, alpha=0.2, linewidth=0)
    ax.set_yscale("log")
    ax.set_xticks(places, [layer.replace("_", "\n") for layer in names])
    ax.set_ylabel(label)
    ax.legend()
    return figure_of(ax)
