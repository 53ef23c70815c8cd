"""Figures for notebooks and reports.

Each function draws into the axes it is given, or into a new figure, and returns the figure. Nothing
is shown: a notebook displays what a cell returns, and `save` writes a PDF and a PNG for a report.
"""

from facegen_keras.figures.adversarial import (
    compare_discriminators,
    diversity_curves,
    logit_histograms,
    optimal_discriminator,
    timelapse_strip,
)
from facegen_keras.figures.architecture import architecture
from facegen_keras.figures.captions import credit
from facegen_keras.figures.curves import compare_runs, loss_curves, read_log
from facegen_keras.figures.distances import (
    distance_against_compute,
    distortion_curves,
    model_comparison,
    sample_size_curves,
)
from facegen_keras.figures.faces import (
    colour_histogram,
    eigenface_grid,
    explained_variance,
    mean_and_std,
    named_bars,
    power_spectra,
    value_histogram,
    value_ranges,
)
from facegen_keras.figures.grids import face_table, image_grid, image_rows
from facegen_keras.figures.heat_map import heat_map
from facegen_keras.figures.likeness import likeness_ratios, trade_off
from facegen_keras.figures.memorisation import (
    memorisation_overview,
    nearest_distances,
    nearest_photos,
)
from facegen_keras.figures.plane import gaussian_pairs, neighbour_balls, point_clouds
from facegen_keras.figures.ring import ring_panels
from facegen_keras.figures.style_curves import sizes_by_layer, truncation_curves
from facegen_keras.figures.stylegan2 import (
    direction_table,
    noise_effect,
    style_exchange,
    style_mix_matrix,
    truncation_table,
)
from facegen_keras.figures.theme import save, save_png
from facegen_keras.figures.vae import (
    beta_comparison,
    kl_per_dimension,
    latent_histograms,
    latent_plane,
    latent_use,
    rate_distortion,
)

__all__ = [
    "architecture",
    "beta_comparison",
    "colour_histogram",
    "compare_discriminators",
    "compare_runs",
    "credit",
    "direction_table",
    "distance_against_compute",
    "distortion_curves",
    "diversity_curves",
    "eigenface_grid",
    "explained_variance",
    "face_table",
    "gaussian_pairs",
    "heat_map",
    "image_grid",
    "image_rows",
    "kl_per_dimension",
    "latent_histograms",
    "latent_plane",
    "latent_use",
    "likeness_ratios",
    "logit_histograms",
    "loss_curves",
    "mean_and_std",
    "memorisation_overview",
    "model_comparison",
    "named_bars",
    "nearest_distances",
    "nearest_photos",
    "neighbour_balls",
    "noise_effect",
    "optimal_discriminator",
    "point_clouds",
    "power_spectra",
    "rate_distortion",
    "read_log",
    "ring_panels",
    "sample_size_curves",
    "save",
    "save_png",
    "sizes_by_layer",
    "style_exchange",
    "style_mix_matrix",
    "timelapse_strip",
    "trade_off",
    "truncation_curves",
    "truncation_table",
    "value_histogram",
    "value_ranges",
]
