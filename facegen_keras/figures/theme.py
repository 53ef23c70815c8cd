"""One style for every figure, and how a figure is saved for a report.

Lines differ in colour and in dash, so that a page printed in grey still tells them apart. The
colours are those of Okabe and Ito (2008), which colour-blind readers can tell apart, in an order
of falling lightness differences.
"""

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec

import matplotlib.pyplot as plt
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from facegen_keras.errors import UserError
from facegen_keras.files.atomic import replacing

DOTS = 120  # per inch on the screen; a notebook with twenty figures stays under 1.5 MB
PRINT_DOTS = 300  # per inch in the PNG of a report
FOLDER = "output/figures"

COLOURS = ("#0072B2", "#E69F00", "#000000", "#56B4E9", "#D55E00", "#009E73", "#CC79A7")
DASHES = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)), (0, (8, 3)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")  # for points, in the order of COLOURS

STYLE = {
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
    "pdf.fonttype": 42,  # text stays text, and editors can change it
    "axes.prop_cycle": cycler(color=COLOURS) + cycler(linestyle=DASHES),
}

Arguments = ParamSpec("Arguments")


def styled(draw: Callable[Arguments, Figure]) -> Callable[Arguments, Figure]:
    """Draw with the package's style, whatever the user's own settings are; leave those alone."""

    @functools.wraps(draw)
    def in_style(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Figure:
        with plt.rc_context(STYLE):
            return draw(*args, **kwargs)

    return in_style


def new_axes(width: float, height: float) -> Axes:
    """Axes of a figure of their own, sizes in inches."""
    figure, ax = plt.subplots(figsize=(width, height), layout="constrained")
    plt.close(figure)  # returned, not shown: pyplot must not show it a second time
    return ax


def bare(ax: Axes) -> None:
    """Leave nothing around pictures: no ticks, grid or frame. Headings are set afterwards."""
    ax.set_xticks([])
    ax.set_yticks([])
    ax.grid(False)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def panels(rows: int, columns: int, width: float, height: float, **options: object) -> tuple:
    """A figure of several axes and the array (rows, columns) of them; the size is of the whole."""
    figure, axes = plt.subplots(
        rows, columns, figsize=(width, height), squeeze=False, layout="constrained", **options
    )
    plt.close(figure)
    return figure, axes


def save(figure: Figure, name: str, folder: str | os.PathLike = FOLDER) -> Figure:
    """Write `name.pdf` (vector) and `name.png` (300 dpi) for a report.

    Args:
        figure: What a function of this package returned.
        name: Without an extension, such as `02_vae_latent`.
        folder: Made if it is missing.

    Returns:
        The figure, so that a notebook's cell can end with this call.

    Raises:
        UserError: The name has an extension or a folder in it, or the files cannot be written.
    """
    if not name or Path(name).name != name or Path(name).suffix in (".pdf", ".png"):
        raise UserError(f"figure name {name!r}: expected a plain name such as 02_vae_latent")
    with plt.rc_context(STYLE):
        for suffix in (".pdf", ".png"):
            with replacing(Path(folder) / f"{name}{suffix}", "choose another folder") as part:
                figure.savefig(part, dpi=PRINT_DOTS, format=suffix[1:], bbox_inches="tight")
    return figure
