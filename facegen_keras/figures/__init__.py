"""Figures of notebooks and reports.

Each function draws into the axes it is given, or into a figure of its own, and returns the figure.
Nothing is shown: a notebook displays what a cell returns; `save` writes the PDF and the PNG that a
report is made from.
"""

from facegen_keras.figures.curves import compare_runs, loss_curves, read_log
from facegen_keras.figures.faces import (
    colour_histogram,
    diagnosis_bars,
    eigenface_grid,
    explained_variance,
    image_rows,
    mean_and_std,
    named_bars,
    power_spectra,
    value_histogram,
)
from facegen_keras.figures.grids import image_grid, reconstruction_pairs
from facegen_keras.figures.style import save

__all__ = [
    "colour_histogram",
    "compare_runs",
    "diagnosis_bars",
    "eigenface_grid",
    "explained_variance",
    "image_grid",
    "image_rows",
    "loss_curves",
    "mean_and_std",
    "named_bars",
    "power_spectra",
    "read_log",
    "reconstruction_pairs",
    "save",
    "value_histogram",
]
