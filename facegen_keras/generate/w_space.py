"""The w space of a StyleGAN2: mix styles, compare truncations, find directions and walk them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from keras import ops

from facegen_keras.errors import UserError, check_several
from facegen_keras.generate.stylegan2 import StyleGAN2Generator
from facegen_keras.inference import latents, to_uint8
from facegen_keras.models.stylegan2.modulated_layers import StyledConv, ToRGB

PSIS = (-1.0, -0.5, 0.0, 0.5, 0.7, 1.0)  # 0 is the average face; negative ψ mirrors w about it


@dataclass(frozen=True)
class Directions:
    """Directions in w along which faces change, the strongest first.

    Attributes:
        vectors: float32 `(count, w_dim)`, each of length 1.
        scales: float32 `(count,)`: the length in w of a step of 1 along each direction.
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
        columns: Seeds of the faces that the styles come from.
        layers: Layers that take the style of the column: 0-3 pose and shape, the last ones colour.
        truncation_psi: As in `StyleGAN2Generator`.
        truncation_cutoff: As in `StyleGAN2Generator`.
        noise_mode: As in `StyleGAN2Generator`.

    Returns:
        uint8 `(len(rows) + 1, len(columns) + 1, height, width, 3)`: the first row and the first
        column hold the unmixed faces, the corner is white.

    Raises:
        UserError: The generator is no StyleGAN2, or a seed, a layer or an option is invalid.
    """
    check_styled(generator)
    check_several("rows", rows)
    check_several("columns", columns)
    layers = np.flatnonzero(generator.layer_mask(layers))
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
    """Each face at several truncations: uint8 `(len(seeds), len(psis), height, width, 3)`.

    Args:
        generator: A StyleGAN2 generator.
        seeds: Of the faces.
        psis: Values of truncation ψ.
        truncation_cutoff: As in `StyleGAN2Generator`.
        noise_mode: As in `StyleGAN2Generator`.

    Raises:
        UserError: The generator is no StyleGAN2, or a seed or an option is invalid.
    """
    check_styled(generator)
    check_several("seeds", seeds)
    check_several("psis", psis)
    seeds = list(seeds)
    w = generator.mapping(latents(seeds, generator.latent_dim))
    truncated = [generator.styles(w, psi, truncation_cutoff) for psi in psis]
    styles = np.stack(truncated, axis=1).reshape(-1, generator.layers, generator.w_dim)
    images = to_uint8(generator.synthesis(styles, noise_mode, np.repeat(seeds, len(psis)).tolist()))
    return images.reshape(len(seeds), len(psis), *images.shape[1:])


def pca_directions(
    generator: StyleGAN2Generator, count: int = 8, samples: int = 10_000, seed: int = 0
) -> Directions:
    """Principal components of w (GANSpace, Härkönen et al. 2020, section 3.1).

    Args:
        generator: A StyleGAN2 generator.
        count: Number of directions, at most w_dim.
        samples: Number of latents from which w is sampled.
        seed: Of those latents.

    Returns:
        Directions scaled by the standard deviation of w along them.

    Raises:
        UserError: The generator is no StyleGAN2, or the count is impossible.
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
        count: Number of directions, at most w_dim.
        layers: Layers whose style weights are factorized; None: all.

    Returns:
        Directions scaled by the typical distance of w from its average.

    Raises:
        UserError: The count is impossible, or a layer does not exist.
    """
    _check_count(generator, count)
    chosen = generator.layer_mask(layers)
    weights = [
        ops.convert_to_numpy(layer.affine_kernel).astype("float64")
        for layer in generator.network("const").layers
        if isinstance(layer, StyledConv | ToRGB) and chosen[layer.style_index]
    ]
    stacked = np.concatenate(weights, axis=1)  # (w_dim, all channels)
    stacked /= np.maximum(np.linalg.norm(stacked, axis=0, keepdims=True), 1e-12)
    values, vectors = np.linalg.eigh(stacked @ stacked.T)
    strongest = np.argsort(values)[::-1][:count]
    z = np.random.RandomState(0).randn(1000, generator.latent_dim)
    spread = np.sqrt(np.mean(np.sum((generator.mapping(z) - generator.w_avg) ** 2, axis=1)))
    scale = spread / np.sqrt(generator.w_dim) * 3  # three standard deviations of a direction
    scales = np.full(count, scale, "float32")
    return Directions(_signed(vectors[:, strongest].T), scales, method="sefa")


def traverse_w(
    generator: StyleGAN2Generator,
    directions: Directions,
    seed: int = 0,
    steps: Sequence[float] = (-2, -1, 0, 1, 2),
    layers: Iterable[int] | None = None,
    truncation_psi: float = 0.7,
    truncation_cutoff: int | None = None,
    noise_mode: str = "const",
) -> np.ndarray:
    """One face moved along each direction: uint8 `(directions, steps, height, width, 3)`.

    Args:
        generator: A StyleGAN2 generator.
        directions: From `pca_directions` or `sefa_directions`.
        seed: Of the face.
        steps: Distances, in units of the directions' scales.
        layers: Layers whose style moves; None: all.
        truncation_psi: Of the face, before it moves.
        truncation_cutoff: Of the face, before it moves.
        noise_mode: As in `StyleGAN2Generator`.

    Raises:
        UserError: The seed, a layer or an option is invalid.
    """
    base = _styles_of(generator, seed, truncation_psi, truncation_cutoff)
    moves = directions.vectors * directions.scales[:, None]
    moves = np.asarray(steps, "float32")[None, :, None] * moves[:, None]
    styles = base[:, None] + moves[:, :, None] * generator.layer_mask(layers)[:, None]
    styles = styles.reshape(-1, generator.layers, generator.w_dim)
    images = to_uint8(generator.synthesis(styles, noise_mode, [seed] * len(styles)))
    return images.reshape(len(directions.vectors), len(steps), *images.shape[1:])


def move_w(
    generator: StyleGAN2Generator,
    directions: Directions,
    seed: int,
    amounts: Sequence[float],
    truncation_psi: float = 0.7,
    noise_mode: str = "const",
) -> np.ndarray:
    """One face moved along several directions at once: uint8 `(height, width, 3)`.

    Args:
        generator: A StyleGAN2 generator.
        directions: From `pca_directions` or `sefa_directions`.
        seed: Of the face.
        amounts: One per direction, in units of its scale.
        truncation_psi: Of the face, before it moves.
        noise_mode: As in `StyleGAN2Generator`.

    Raises:
        UserError: There are more or fewer amounts than directions, or the seed or an option is
            invalid.
    """
    if len(amounts) != len(directions.vectors):
        raise UserError(f"{len(amounts)} amounts for {len(directions.vectors)} directions")
    move = (np.asarray(amounts, "float32") * directions.scales) @ directions.vectors
    styles = _styles_of(generator, seed, truncation_psi) + move
    return to_uint8(generator.synthesis(styles.astype("float32"), noise_mode, [seed]))[0]


def _styles_of(
    generator: StyleGAN2Generator, seed: int, psi: float, cutoff: int | None = None
) -> np.ndarray:
    """The styles of the face that is moved: `(1, layers, w_dim)`."""
    check_styled(generator)
    return generator.styles(generator.mapping(latents([seed], generator.latent_dim)), psi, cutoff)


def check_styled(generator: object) -> None:
    """Refuse a generator without styles.

    Raises:
        UserError: It is not a StyleGAN2.
    """
    if not isinstance(generator, StyleGAN2Generator):
        family = getattr(generator, "family", type(generator).__name__)
        raise UserError(f"generator: a {family}; only a StyleGAN2, as from load_generator, has w")


def _check_count(generator: StyleGAN2Generator, count: int) -> None:
    check_styled(generator)
    if not 1 <= count <= generator.w_dim:
        raise UserError(f"count {count}: expected 1 to {generator.w_dim} directions")


def _signed(vectors: np.ndarray) -> np.ndarray:
    """Make the largest component positive: the sign of an eigenvector is arbitrary."""
    largest = np.take_along_axis(vectors, np.abs(vectors).argmax(axis=1)[:, None], axis=1)
    return (vectors * np.sign(largest)).astype("float32")
