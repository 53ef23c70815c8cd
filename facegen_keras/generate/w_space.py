"""What can be done in the w space of a StyleGAN2: mixing styles, truncating, finding directions."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from keras import ops

from facegen_keras.errors import UserError
from facegen_keras.generate.stylegan2 import StyleGAN2Generator
from facegen_keras.inference import latents, to_uint8
from facegen_keras.models.stylegan2.modulated_layers import StyledConv, ToRGB

PSIS = (-1.0, -0.5, 0.0, 0.5, 0.7, 1.0)  # 0 is the average face, below it its opposite


@dataclass(frozen=True)
class Directions:
    """Directions in w along which faces change, the strongest first.

    Attributes:
        vectors: float32 (count, w_dim), each of length 1.
        scales: float32 (count,): what a step of 1 along each is, in units of w.
        method: "pca" or "sefa".
    """

    vectors: np.ndarray
    scales: np.ndarray
    method: str


def style_mix(
    generator: StyleGAN2Generator,
    rows: Sequence[int],
    columns: Sequence[int],
    layers: Iterable[int],
    truncation_psi: float = 1.0,
    truncation_cutoff: int | None = None,
    noise_mode: str = "const",
) -> np.ndarray:
    """The faces of `rows` with the styles of `columns` in some layers (Karras et al. 2019, fig. 3).

    Args:
        generator: A StyleGAN2 generator.
        rows: Seeds of the faces that are changed.
        columns: Seeds of the faces the styles come from.
        layers: Which layers take the style of the column: 0-3 pose and shape, the last ones colour.
        truncation_psi, truncation_cutoff, noise_mode: As in `StyleGAN2Generator`.

    Returns:
        uint8 (len(rows) + 1, len(columns) + 1, height, width, 3): the first row and the first
        column hold the unmixed faces, the corner is white.
    """
    layers = list(layers)
    if not layers or min(layers) < 0 or max(layers) >= generator.layers:
        raise UserError(f"layers {layers}: expected some of 0 to {generator.layers - 1}")
    seeds = [*rows, *columns]
    w = generator.mapping(latents(seeds, generator.latent_dim))
    styles = generator.styles(w, truncation_psi, truncation_cutoff)
    sources = styles[len(rows) :]
    mixed = np.repeat(styles[: len(rows), None], len(columns), axis=1)
    mixed[:, :, layers] = sources[None, :, layers]
    mixed = mixed.reshape(-1, *styles.shape[1:])
    noise_seeds = [*seeds, *np.repeat(list(rows), len(columns))]
    images = to_uint8(generator.synthesis(np.concatenate([styles, mixed]), noise_mode, noise_seeds))
    shape = images.shape[1:]
    matrix = np.full((len(rows) + 1, len(columns) + 1, *shape), 255, "uint8")
    matrix[1:, 0] = images[: len(rows)]
    matrix[0, 1:] = images[len(rows) : len(seeds)]
    matrix[1:, 1:] = images[len(seeds) :].reshape(len(rows), len(columns), *shape)
    return matrix


def truncation_sweep(
    generator: StyleGAN2Generator,
    seeds: Sequence[int],
    psis: Sequence[float] = PSIS,
    truncation_cutoff: int | None = None,
    noise_mode: str = "const",
) -> np.ndarray:
    """Each face at several truncations: uint8 (len(seeds), len(psis), height, width, 3)."""
    seeds = list(seeds)
    w = generator.mapping(latents(seeds, generator.latent_dim))
    styles = [generator.styles(w, psi, truncation_cutoff) for psi in psis]
    styles = np.stack(styles, axis=1).reshape(-1, generator.layers, generator.w_dim)
    images = to_uint8(generator.synthesis(styles, noise_mode, np.repeat(seeds, len(psis)).tolist()))
    return images.reshape(len(seeds), len(psis), *images.shape[1:])


def pca_directions(
    generator: StyleGAN2Generator, count: int = 8, samples: int = 10_000, seed: int = 0
) -> Directions:
    """Principal components of w (GANSpace, Härkönen et al. 2020, section 3.1).

    Args:
        generator: A StyleGAN2 generator.
        count: How many, at most w_dim.
        samples: Number of latents that w is sampled with.
        seed: Of those latents.

    Returns:
        Directions scaled by the standard deviation of w along them.
    """
    _check_count(generator, count)
    z = np.random.RandomState(seed).randn(samples, generator.latent_dim)
    w = generator.mapping(z).astype("float64")
    values, vectors = np.linalg.eigh(np.cov(w, rowvar=False))
    strongest = np.argsort(values)[::-1][:count]
    scales = np.sqrt(np.maximum(values[strongest], 0))
    return Directions(_signed(vectors[:, strongest].T), scales.astype("float32"), method="pca")


def sefa_directions(
    generator: StyleGAN2Generator, count: int = 8, layers: Iterable[int] | None = None
) -> Directions:
    """Directions that the style weights amplify most (SeFa, Shen & Zhou 2021, eq. 7).

    Args:
        generator: A StyleGAN2 generator.
        count: How many, at most w_dim.
        layers: Styles whose weights are factorized; None: all.

    Returns:
        Directions scaled by the typical distance of w from its average.
    """
    _check_count(generator, count)
    wanted = set(range(generator.layers) if layers is None else layers)
    weights = [
        ops.convert_to_numpy(layer.affine_kernel).astype("float64")
        for layer in generator.network("const").layers
        if isinstance(layer, StyledConv | ToRGB) and layer.style_index in wanted
    ]
    if not weights:
        raise UserError(f"layers {sorted(wanted)}: expected some of 0 to {generator.layers - 1}")
    stacked = np.concatenate(weights, axis=1)  # (w_dim, all channels)
    stacked /= np.maximum(np.linalg.norm(stacked, axis=0, keepdims=True), 1e-12)
    values, vectors = np.linalg.eigh(stacked @ stacked.T)
    strongest = np.argsort(values)[::-1][:count]
    z = np.random.RandomState(0).randn(1000, generator.latent_dim)
    spread = np.sqrt(np.mean(np.sum((generator.mapping(z) - generator.w_avg) ** 2, axis=1)))
    scale = spread / np.sqrt(generator.w_dim) * 3  # three standard deviations of a direction
    scales = np.full(count, scale, "float32")
    return Directions(_signed(vectors[:, strongest].T), scales, method="sefa")


def along(
    generator: StyleGAN2Generator,
    directions: Directions,
    seed: int = 0,
    steps: Sequence[float] = (-2, -1, 0, 1, 2),
    layers: Iterable[int] | None = None,
    truncation_psi: float = 0.7,
    truncation_cutoff: int | None = None,
    noise_mode: str = "const",
) -> np.ndarray:
    """One face moved along each direction: uint8 (directions, steps, height, width, 3).

    Args:
        generator: A StyleGAN2 generator.
        directions: From `pca_directions` or `sefa_directions`.
        seed: Of the face.
        steps: How far, in units of the directions' scales.
        layers: Styles that move; None: all.
        truncation_psi, truncation_cutoff: Of the face, before it moves.
        noise_mode: As in `StyleGAN2Generator`.
    """
    base = generator.styles(
        generator.mapping(latents([seed], generator.latent_dim)), truncation_psi, truncation_cutoff
    )
    moves = directions.vectors * directions.scales[:, None]
    moves = np.asarray(steps, "float32")[None, :, None] * moves[:, None]
    moving = np.zeros(generator.layers, "float32")
    moving[list(range(generator.layers) if layers is None else layers)] = 1
    styles = base[:, None] + moves[:, :, None] * moving[:, None]
    styles = styles.reshape(-1, generator.layers, generator.w_dim)
    images = to_uint8(generator.synthesis(styles, noise_mode, [seed] * len(styles)))
    return images.reshape(len(directions.vectors), len(steps), *images.shape[1:])


def _check_count(generator: StyleGAN2Generator, count: int) -> None:
    if not 1 <= count <= generator.w_dim:
        raise UserError(f"count {count}: expected 1 to {generator.w_dim} directions")


def _signed(vectors: np.ndarray) -> np.ndarray:
    """An eigenvector has no sign; the largest component is made positive so that runs agree."""
    largest = np.take_along_axis(vectors, np.abs(vectors).argmax(axis=1)[:, None], axis=1)
    return (vectors * np.sign(largest)).astype("float32")
