"""Walks through latent vectors: spherical in z, straight in w."""

import numpy as np

from facegen_keras.errors import UserError, check_whole


def interpolate(start: np.ndarray, end: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Spherical interpolation between two latents: float32 `(len(t), latent_dim)`.

    Gaussian latents lie near a sphere. The straight line between two of them leaves it, and passes
    through points that the generator never saw in training (White 2016, arXiv:1609.04468,
    section 2.1).

    Args:
        start: Latent `(latent_dim,)`, reached at t = 0.
        end: Latent `(latent_dim,)`, reached at t = 1.
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
    """A spherical path through latents at even pace: float32 `(frames, latent_dim)`.

    Args:
        z: Latents to visit, `(n, latent_dim)`.
        frames: Total number of steps, at least n.
        loop: Return from the last latent to the first, so that a repeated film does not jump. The
            first latent is not repeated at the end.

    Raises:
        UserError: Fewer than two latents, or fewer frames than latents.
    """
    stops, leg, position = _legs(z, frames, loop)
    rows = np.empty((frames, z.shape[1]), "float32")
    for index in range(len(stops) - 1):
        here = leg == index
        rows[here] = interpolate(stops[index], stops[index + 1], position[here] - index)
    return rows


def straight_walk(w: np.ndarray, frames: int, loop: bool) -> np.ndarray:
    """A straight path through points of w at even pace: `(frames, w_dim)`; arguments as `walk`.

    Raises:
        UserError: Fewer than two points, or fewer frames than points.
    """
    stops, leg, position = _legs(w, frames, loop)
    t = (position - leg)[:, None]
    return (1 - t) * stops[leg] + t * stops[leg + 1]


def _legs(points: np.ndarray, frames: int, loop: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The stops of a path, and for each frame its leg and its position, counted in legs."""
    if len(points) < 2:
        raise UserError(f"an interpolation through {len(points)} latent: expected two or more")
    check_whole("frames", frames)
    if frames < len(points):
        raise UserError(
            f"{frames} frames through {len(points)} latents: expected {len(points)} or more"
        )
    stops = np.concatenate([points, points[:1]]) if loop else np.asarray(points)
    legs = len(stops) - 1
    position = np.linspace(0, legs, frames, endpoint=not loop)
    return stops, np.minimum(position.astype(int), legs - 1), position
