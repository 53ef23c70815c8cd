"""One style for every figure, and the ways to save one.

Lines differ in colour and in dash, so that they can be told apart on a page printed in grey. The
colours are those of Okabe and Ito (2008), which colour-blind readers can distinguish, ordered so
that neighbours differ most in lightness.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypedDict, TypeVar, Unpack

import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Figure
from matplotlib.figure import FigureBase
from matplotlib.ticker import EngFormatter, MaxNLocator

from facegen_keras.errors import UserError
from facegen_keras.figures.captions import write_caption
from facegen_keras.files.atomic import replacing
from facegen_keras.files.own_pictures import MARK

if TYPE_CHECKING:
    from matplotlib.typing import LineStyleType, RcKeyType

DOTS = 120  # per inch on screen
PRINT_DOTS = 300  # per inch in the PNG for a report
FOLDER = "output/figures"

BLACK = "#000000"
COLOURS = ("#0072B2", "#E69F00", BLACK, "#56B4E9", "#D55E00", "#009E73", "#CC79A7")
DASHES: tuple[LineStyleType, ...] = (
    "-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)), (0, (8, 3)),
)  # fmt: skip
MARKERS = ("o", "s", "^", "D", "v", "P", "X")  # for points, in the order of COLOURS

STYLE: dict[RcKeyType, object] = {
    "figure.dpi": DOTS,
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.alpha": 0.3,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.4,
    "image.cmap": "gray",
    "image.interpolation": "nearest",
    "pdf.fonttype": 42,  # text stays text that an editor can change
    "axes.prop_cycle": cycler(color=COLOURS) + cycler(linestyle=DASHES),
}

Arguments = ParamSpec("Arguments")
Drawn = TypeVar("Drawn", bound=FigureBase)


def look_of(name: str, looks: Mapping[str, int] | None, number: int) -> int:
    """The number of a name's colour, dash and marker.

    Args:
        name: Of a model or of a set. What follows a comma does not count.
        looks: Numbers by name; other names are black.
        number: Without `looks`.
    """
    if looks is None:
        return number % len(COLOURS)
    return looks.get(name.partition(",")[0], COLOURS.index(BLACK)) % len(COLOURS)


class PanelOptions(TypedDict, total=False):
    """How the axes of a figure share it.

    Attributes:
        sharex: Whether all axes have one range of x.
        sharey: Whether all axes have one range of y.
        width_ratios: Relative widths of the columns.
    """

    sharex: bool
    sharey: bool
    width_ratios: Sequence[float]


def styled(draw: Callable[Arguments, Drawn]) -> Callable[Arguments, Drawn]:
    """Draw in the package's style, and leave the user's own settings unchanged."""

    @functools.wraps(draw)
    def in_style(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Drawn:
        with plt.rc_context(STYLE):
            return draw(*args, **kwargs)

    return in_style


def new_figure(width: float, height: float) -> Figure:
    """A figure, sizes in inches. It is returned, not shown, so pyplot must not keep it open."""
    figure = plt.figure(figsize=(width, height), layout="constrained")
    plt.close(figure)
    return figure


def new_axes(width: float, height: float) -> Axes:
    """Axes in a new figure, sizes in inches."""
    return new_figure(width, height).subplots()


def figure_of(drawn: Axes | FigureBase) -> Figure:
    """The whole figure that axes or a subfigure belong to."""
    figure = drawn.figure
    return figure if isinstance(figure, Figure) else figure.figure


def hide_axes(ax: Axes) -> None:
    """Remove ticks, grid and frame, for pictures. Headings are set afterwards."""
    ax.set_xticks([])
    ax.set_yticks([])
    ax.grid(False)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def errors_of(values: Iterable[object]) -> list[float]:
    """The standard errors of numbers that have an `.error` (`metrics.Estimate`), 0 for others."""
    return [getattr(value, "error", None) or 0.0 for value in values]


def count_images(ax: Axes) -> None:
    """Let the horizontal axis be images seen: few ticks, such as 200k, that do not touch."""
    ax.set_xlabel("images seen")
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.xaxis.set_major_formatter(EngFormatter(sep=""))


def panels(
    rows: int, columns: int, width: float, height: float, **options: Unpack[PanelOptions]
) -> tuple[Figure, np.ndarray]:
    """A figure of several axes, and the array `(rows, columns)` of them.

    Args:
        rows: Of axes.
        columns: Of axes.
        width: Of the whole figure, in inches.
        height: Of the whole figure, in inches.
        **options: See `PanelOptions`.
    """
    figure = new_figure(width, height)
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def save(
    figure: Figure, name: str, caption: str = "", folder: str | os.PathLike = FOLDER
) -> Figure:
    """Write `name.pdf` (vector) and `name.png` (300 dpi) for a report.

    Args:
        figure: As a function of this package returns it.
        name: Without an extension, such as `02_vae_latent`.
        caption: What it shows: model, data, images seen, seeds. It is printed, and kept in the
            folder's `captions.md`.
        folder: Created if it is missing.

    Returns:
        The figure, so that a notebook cell can end with this call.

    Raises:
        UserError: The name has an extension or a folder in it, or the files cannot be written.
    """
    if not name or Path(name).name != name or Path(name).suffix in (".pdf", ".png"):
        raise UserError(f"figure name {name!r}: expected a plain name such as 02_vae_latent")
    with plt.rc_context(STYLE):
        for suffix, metadata in ((".pdf", None), (".png", MARK)):
            with replacing(Path(folder) / f"{name}{suffix}", "choose another folder") as part:
                figure.savefig(
                    part,
                    dpi=PRINT_DOTS,
                    format=suffix[1:],
                    bbox_inches="tight",
                    metadata=metadata,
                )
    if caption:
        write_caption(folder, name, caption)
        print(f"Figure: {caption}")
    return figure


def save_png(figure: Figure, path: str | os.PathLike) -> Path:
    """Write one PNG at screen resolution (120 dpi), whole or not at all.

    Args:
        figure: As a function of this package returns it.
        path: Ends in .png; its folder is created if it is missing.

    Raises:
        UserError: The file cannot be written.
    """
    with plt.rc_context(STYLE), replacing(path) as part:
        figure.savefig(part, dpi=DOTS, format="png", metadata=MARK)
    return Path(path)
