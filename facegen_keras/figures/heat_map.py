"""A number by two options that several trainings vary."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from facegen_keras.figures.theme import figure_of, new_axes, styled


@styled
def heat_map(
    values: np.ndarray,
    columns: Sequence[float],
    rows: Sequence[float],
    across: str,
    down: str,
    title: str,
    digits: int = 2,
) -> Figure:
    """A number by two options, darker where it is smaller.

    Args:
        values: `(rows, columns)`; NaN stays empty.
        columns: Values of the option across.
        rows: Values of the option down.
        across: Its name.
        down: Its name.
        title: What the number is.
        digits: Digits after the decimal point.
    """
    ax = new_axes(1.5 + 0.9 * len(columns), 1.0 + 0.6 * len(rows))
    ax.imshow(values, cmap="Greys_r", aspect="auto")
    middle = (np.nanmin(values) + np.nanmax(values)) / 2
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            ink = "white" if value <= middle else "black"
            ax.text(column, row, f"{value:.{digits}f}", ha="center", va="center", color=ink)
    ax.set_xticks(range(len(columns)), [f"{value:g}" for value in columns])
    ax.set_yticks(range(len(rows)), [f"{value:g}" for value in rows])
    ax.set_xlabel(across)
    ax.set_ylabel(down)
    ax.set_title(title, fontsize=9)
    ax.grid(False)
    return figure_of(ax)
