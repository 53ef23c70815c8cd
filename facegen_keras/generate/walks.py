"""Pictures out of a generator: faces of seeds, grids, interpolations, reconstructions, videos."""

from collections.abc import Iterable

import keras
import numpy as np

from facegen_keras.errors import UserError
from facegen_keras.generate.generator import Generator
from facegen_keras.inference import latents, to_uint8
from facegen_keras.models.posterior import encode_photos

ENCODED_AT_A_TIME = 16  # photos


def interpolate(start: np.ndarray, end: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Spherical interpolation between two latents: (len(t), latent_dim) float32.

    Gaussian latents lie near a sphere; the straight line between two leaves it, where the
    generator has never been (White 2016, arXiv:1609.04468, section 2.1).

    Args:
        start: Latent (latent_dim,), reached at t = 0.
        end: Latent (latent_dim,), reached at t = 1.
        t: Positions from 0 to 1.
    """
    start, end = np.asarray(start, "float64"), np.asarray(end, "float64")
    t = np.asarray(t, "float64")[:, None]
    norms = np.linalg.norm(start) * np.linalg.norm(end)
    angle = np.arccos(np.clip(start @ end / norms, -1, 1)) if norms else 0.0
    if np.sin(angle) < 1e-6:  # parallel, or at the origin: the sphere gives no direction
        return ((1 - t) * start + t * end).astype("float32")
    weights = np.sin((1 - t) * angle), np.sin(t * angle)
    return ((weights[0] * start + weights[1] * end) / np.sin(angle)).astype("float32")


def walk(z: np.ndarray, frames: int, loop: bool) -> np.ndarray:
    """A path through latents at even pace: float32 (frames, latent_dim).

    Args:
        z: Latents to visit, (n, latent_dim).
        frames: Number of steps in all, at least n.
        loop: Go from the last one back to the first, so that a repeated film has no jump; the
            first latent is then not repeated at the end.

    Raises:
        UserError: Fewer than two latents, or fewer frames than latents.
    """
    if len(z) < 2:
        raise UserError(f"an interpolation through {len(z)} latent: expected two or more")
    if frames < len(z):
        raise UserError(f"{frames} frames through {len(z)} latents: expected {len(z)} or more")
    stops = np.concatenate([z, z[:1]]) if loop else np.asarray(z)
    legs = len(stops) - 1
    position = np.linspace(0, legs, frames, endpoint=not loop)
    leg = np.minimum(position.astype(int), legs - 1)
    rows = np.empty((frames, z.shape[1]), "float32")
    for index in range(legs):
        here = leg == index
        rows[here] = interpolate(stops[index], stops[index + 1], position[here] - index)
    return rows


def interpolate_seeds(
    generator: Generator, seeds: Iterable[int], frames: int = 48, loop: bool = True, **options
) -> np.ndarray:
    """The frames of a walk through the latents of seeds: uint8 (frames, height, width, 3)."""
    z = walk(latents(seeds, generator.latent_dim), frames, loop)
    return to_uint8(generator(z, **options))


def encode(encoder: keras.Model, faces: np.ndarray) -> np.ndarray:
    """The mean latents of photos: float32 (n, latent_dim).

    Args:
        encoder: As from `load_encoder`.
        faces: uint8 (n, height, width, 3).

    Raises:
        UserError: The photos have another size than the encoder takes.
    """
    statistics = encode_photos(encoder, faces, ENCODED_AT_A_TIME)
    return statistics[:, : statistics.shape[1] // 2]


def reconstruct(generator: Generator, encoder: keras.Model, faces: np.ndarray) -> np.ndarray:
    """What the model makes of photos, through the mean of their encoding.

    Args:
        generator: The decoder.
        encoder: The encoder from the same export.
        faces: uint8 (n, height, width, 3).

    Returns:
        uint8 (n, height, width, 3).
    """
    return to_uint8(generator(encode(encoder, faces)))
