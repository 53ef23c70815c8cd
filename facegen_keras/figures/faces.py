"""A set of faces before any training: its files, averages, eigenfaces and pixels."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from facegen_keras.errors import UserError
from facegen_keras.figures.grids import image_grid
from facegen_keras.figures.pixels import INCH, face_width, keep_whole
from facegen_keras.figures.theme import COLOURS, errors_of, figure_of, new_axes, panels, styled

MOST_BARS = 8
RANGE = (5, 25, 50, 75, 95)  # per cent: of a set's values that a row shows
RED_GREEN_BLUE = {"red": "#C00000", "green": "#009E73", "blue": "#0072B2"}


@styled
def named_bars(
    values: Mapping[str, float], xlabel: str, most: int = MOST_BARS, ax: Axes | None = None
) -> Figure:
    """Horizontal bars with their values written beside them, in the order given from the top.

    Args:
        values: By name. Integers are written in full; numbers with an `.error`
            (`metrics.Estimate`) get a bar of one standard error to each side, and as many digits
            as it allows.
        xlabel: What is counted or measured.
        most: Number of bars to draw. Further integers are summed into one more bar.
        ax: Where to draw.

    Raises:
        UserError: There is nothing to draw.
    """
    if not values:
        raise UserError(f"no value to draw for {xlabel!r}")
    names, numbers = list(values)[:most], list(values.values())
    rest, numbers = numbers[most:], numbers[:most]
    whole = all(isinstance(number, int | np.integer) for number in [*numbers, *rest])
    if rest and whole:
        names.append(f"{len(rest):,} others")
        numbers.append(sum(rest))
    ax = ax or new_axes(5, 0.6 + 0.3 * len(names))
    errors = errors_of(numbers)
    bars = ax.barh(names, numbers, color=COLOURS[3], xerr=errors if any(errors) else None)
    words = [f"{number:,}" if whole else _measured(number) for number in numbers]
    ax.bar_label(bars, words, padding=3)
    ax.invert_yaxis()
    ax.margins(x=0.2)
    ax.grid(False)
    ax.set_xlabel(xlabel)
    return figure_of(ax)


def _measured(number: float) -> str:
    """A number to the digits that its error allows, or to three."""
    error = getattr(number, "error", None)
    if not error:
        return f"{number:.3g}"
    # Here, because it imports SciPy, and a check of files measures nothing.
    from facegen_keras.metrics.result import number_text

    return number_text(number, error)


@styled
def value_histogram(
    values: Mapping[str, np.ndarray] | np.ndarray,
    xlabel: str,
    bins: int = 40,
    ax: Axes | None = None,
) -> Figure:
    """One histogram per set, over common bins, in per cent: sets of different sizes compare.

    Args:
        values: `(n,)`, or several such arrays by name.
        xlabel: What was measured, with its unit.
        bins: Number of bins.
        ax: Where to draw.

    Raises:
        UserError: There is no value.
    """
    sets = values if isinstance(values, Mapping) else {"": values}
    if not sets or not all(len(group) for group in sets.values()):
        raise UserError(f"no value to draw for {xlabel!r}")
    edges = np.histogram_bin_edges(np.concatenate(list(sets.values())), bins)
    ax = ax or new_axes(5, 3)
    for name, group in sets.items():
        percent = 100 * np.histogram(group, edges)[0] / len(group)
        ax.step(edges, [*percent, percent[-1]], where="post", label=name)
    ax.set_xlabel(xlabel)
    ax.set_ylabel("% of the faces")
    ax.set_ylim(bottom=0)
    if isinstance(values, Mapping):
        ax.legend()
    return figure_of(ax)


@styled
def value_ranges(values: Mapping[str, np.ndarray], xlabel: str, ax: Axes | None = None) -> Figure:
    """Where the values of several sets lie, one row per set, in the order given from the top.

    A dot is the median, the thick bar reaches from the 25 % to the 75 % quantile, the thin one from
    the 5 % to the 95 % quantile.

    Args:
        values: `(n,)` by name.
        xlabel: What was measured, with its unit.
        ax: Where to draw.

    Raises:
        UserError: There is no value.
    """
    if not values or not all(len(group) for group in values.values()):
        raise UserError(f"no value to draw for {xlabel!r}")
    ax = ax or new_axes(5, 0.6 + 0.3 * len(values))
    for row, group in enumerate(values.values()):
        low, lower, middle, upper, high = np.percentile(group, RANGE)
        ax.plot([low, high], [row, row], color=COLOURS[0], linestyle="-", linewidth=1)
        ax.plot([lower, upper], [row, row], color=COLOURS[0], linestyle="-", linewidth=5)
        ax.plot(middle, row, "o", color="white", markeredgecolor=COLOURS[2], markersize=6)
    ax.set_yticks(range(len(values)), list(values))
    ax.set_ylim(len(values) - 0.5, -0.5)
    ax.grid(False, axis="y")
    ax.set_xlabel(xlabel)
    return figure_of(ax)


@styled
def colour_histogram(histogram: np.ndarray, ax: Axes | None = None) -> Figure:
    """How often each pixel value occurs in red, green and blue.

    Args:
        histogram: Counts `(3, 256)`, as in `data.statistics.PixelStatistics`.
        ax: Where to draw.
    """
    ax = ax or new_axes(5, 3)
    for (name, colour), counts in zip(RED_GREEN_BLUE.items(), histogram, strict=True):
        ax.plot(100 * counts / counts.sum(), color=colour, label=name)
    ax.set_xlabel("pixel value")
    ax.set_ylabel("% of the pixels")
    ax.set_ylim(bottom=0)
    ax.legend()
    return figure_of(ax)


@styled
def mean_and_std(mean: np.ndarray, std: np.ndarray) -> Figure:
    """The mean face, and where the faces differ from it.

    Args:
        mean: `(height, width, 3)`, 0 to 255.
        std: Standard deviation of each pixel over the faces, same shape. Drawn as the mean over
            the colours, in grey levels.
    """
    height, width = mean.shape[:2]
    side = face_width(width, 2 * INCH)
    figure, axes = panels(1, 2, 2 * side + 1.6, side * height / width + 0.5)
    left, right = axes[0]
    left.imshow(np.clip(np.rint(mean), 0, 255).astype(np.uint8))
    left.set_title("mean")
    shown = right.imshow(std.mean(-1))
    right.set_title("standard deviation")
    figure.colorbar(shown, ax=right, label="grey levels", shrink=0.8)
    for ax in (left, right):
        ax.axis("off")
        keep_whole(ax, width, height)
    return figure


@styled
def eigenface_grid(components: np.ndarray, share: np.ndarray, columns: int = 8) -> Figure:
    """Eigenfaces around mid-grey, each stretched to the full range.

    Args:
        components: `(k, height, width, 3)`, of either sign.
        share: Explained fraction of the variance `(k,)`, written above.
        columns: Images in a row.
    """
    most = np.abs(components).max(axis=(1, 2, 3), keepdims=True)
    images = np.rint(127.5 + 127.5 * components / np.maximum(most, 1e-12)).astype(np.uint8)
    titles = [f"{number}: {100 * explained:.2g}%" for number, explained in enumerate(share, 1)]
    return figure_of(image_grid(images, titles, columns))


@styled
def explained_variance(
    curves: Mapping[str, np.ndarray], levels: Sequence[float] = (), ax: Axes | None = None
) -> Figure:
    """Explained fraction of the variance by the number of components, on a log scale.

    Args:
        curves: Cumulative fractions `(k,)` by name: entry j is for j + 1 components.
        levels: Fractions at which the first curve gets a mark with its number of components.
        ax: Where to draw.
    """
    ax = ax or new_axes(5.5, 3.3)
    for name, curve in curves.items():
        ax.plot(np.arange(1, len(curve) + 1), 100 * np.asarray(curve), label=name)
    first = np.asarray(next(iter(curves.values())))
    for level in levels:
        if first[-1] >= level:
            place = int(np.argmax(first >= level))
            point = (place + 1, 100 * first[place])
            ax.plot(*point, "o", color=COLOURS[0])
            text = f"{level:.0%}: {place + 1}"
            ax.annotate(text, point, (-4, 5), ha="right", textcoords="offset points", fontsize=8)
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    ax.set_xlabel("components")
    ax.set_ylabel("% of the variance")
    ax.legend(loc="lower right")
    return figure_of(ax)


@styled
def power_spectra(spectra: Mapping[str, np.ndarray], ax: Axes | None = None) -> Figure:
    """Mean power by spatial frequency up to half a cycle per pixel, both on log scales.

    Args:
        spectra: From `data.aliasing.radial_power`, `(side // 2,)` each, by name.
        ax: Where to draw.
    """
    ax = ax or new_axes(5.5, 3.5)
    for name, power in spectra.items():
        side = 2 * len(power)
        ax.plot(np.arange(1, len(power) + 1) / side, power, label=name)
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_formatter(lambda x, _: f"1/{1 / x:.0f}")
    ax.set_yscale("log")
    ax.set_xlabel("cycles per pixel")
    ax.set_ylabel("power")
    ax.legend()
    return figure_of(ax)
