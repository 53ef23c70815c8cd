"""Figures of notebooks and reports.

Each function draws into the axes it is given, or into a figure of its own, and returns the figure.
Nothing is shown: a notebook displays what a cell returns; `save` writes the PDF and the PNG that a
report is made from.
"""

from facegen_keras.figures.adversarial import (
    compare_discriminators,
    diversity_curves,
    logit_histograms,
    optimal_discriminator,
    timelapse_strip,
)
from facegen_keras.figures.curves import compare_runs, loss_curves, read_log
from facegen_keras.figures.distances import (
    distance_against_compute,
    distortion_curves,
    gaussian_pairs,
    model_comparison,
    nearest_distances,
    nearest_photos,
    point_clouds,
    sample_size_curves,
)
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
from facegen_keras.figures.grids import image_grid
from facegen_keras.figures.stylegan2 import (
    direction_table,
    face_table,
    growing_stages,
    noise_effect,
    projection_steps,
    quality_against_diversity,
    style_mix_matrix,
    truncation_table,
)
from facegen_keras.figures.theme import save
from facegen_keras.figures.vae import (
    beta_comparison,
    kl_per_dimension,
    latent_histograms,
    rate_distortion,
)

__all__ = [
    "beta_comparison",
    "colour_histogram",
    "compare_discriminators",
    "compare_runs",
    "diagnosis_bars",
    "direction_table",
    "distance_against_compute",
    "distortion_curves",
    "diversity_curves",
    "eigenface_grid",
    "explained_variance",
    "face_table",
    "gaussian_pairs",
    "growing_stages",
    "image_grid",
    "image_rows",
    "kl_per_dimension",
    "latent_histograms",
    "logit_histograms",
    "loss_curves",
    "mean_and_std",
    "model_comparison",
    "named_bars",
    "nearest_distances",
    "nearest_photos",
    "noise_effect",
    "optimal_discriminator",
    "point_clouds",
    "power_spectra",
    "projection_steps",
    "quality_against_diversity",
    "rate_distortion",
    "read_log",
    "sample_size_curves",
    "save",
    "style_mix_matrix",
    "timelapse_strip",
    "truncation_table",
    "value_histogram",
]
