"""Perceptual path length: how evenly the image changes along a walk through the latent space.

Karras et al. 2018 (arXiv:1812.04948), section 4.1, with the distance of this package's extractor in
place of VGG's: values compare only among themselves, and are named after the extractor.
"""

from typing import Any

import numpy as np
from keras import ops

from facegen_keras.engine import autodiff
from facegen_keras.errors import UserError
from facegen_keras.generate.walks import interpolate
from facegen_keras.inference import in_chunks, latents
from facegen_keras.losses import path_lengths as lengths_of
from facegen_keras.metrics.estimate import Estimate
from facegen_keras.metrics.extractor import FeatureExtractor

# The paper steps by 1e-4. In float32, features differ by rounding at that distance; at 1e-3 the
# value is the same and stands clear of it (measured: see `tests/metrics/test_path_length.py`).
EPSILON = 1e-3
TRIM = 0.01  # share of the smallest and of the largest distances left out, as in the paper's code


def perceptual_path_length(
    generator: Any,
    extractor: FeatureExtractor,
    num_samples: int = 1000,
    seed: int = 0,
    epsilon: float = EPSILON,
    space: str | None = None,
) -> Estimate:
    """Mean squared feature distance of two images a small step apart, over the step squared.

    Args:
        generator: A `Generator`, or any callable from latents to images in [-1, 1] that has a
            `latent_dim`.
        extractor: Supplies the distance: squared Euclidean distance of features.
        num_samples: Number of walks.
        seed: First of the seeds of the walks' ends.
        epsilon: Step, as a share of the walk.
        space: `"z"` (spherical walk, a random point of it) or `"w"` (straight walk of StyleGAN2's
            intermediate latent, its start); by default w where there is one.

    Returns:
        The mean, without the smallest and the largest 1 %, and its standard error in `.error`.

    Raises:
        UserError: Unknown space, or one this generator does not have.
    """
    has_w = hasattr(generator, "mapping") and hasattr(generator, "synthesis")
    space = space or ("w" if has_w else "z")
    if space not in ("z", "w") or (space == "w" and not has_w):
        raise UserError(
            f"space={space!r}; choose 'z'" + (" or 'w'" if has_w else " (there is no w)")
        )
    if num_samples < 2 or epsilon <= 0:
        raise UserError(f"num_samples={num_samples}, epsilon={epsilon}; at least 2, and above 0")
    position = np.random.default_rng(seed).uniform(size=num_samples) * (1 - epsilon)
    distances = []
    step = max(1, extractor.batch_size // 2)
    for start in range(0, num_samples, step):
        seeds = np.arange(start, min(start + step, num_samples))
        begin = latents(seed + 2 * seeds, generator.latent_dim)
        end = latents(seed + 2 * seeds + 1, generator.latent_dim)
        if space == "w":
            begin, end = generator.mapping(begin), generator.mapping(end)
            points = np.concatenate([begin, begin + epsilon * (end - begin)])
            images = generator.synthesis(generator.styles(points))
        else:
            t = position[seeds]
            images = np.asarray(
                generator(np.concatenate([_slerp(begin, end, t), _slerp(begin, end, t + epsilon)]))
            )
        features = extractor.from_floats(np.clip((images + 1.0) * 127.5, 0.0, 255.0))
        first, second = np.split(features.astype(np.float64), 2)
        distances.append(((first - second) ** 2).sum(1) / epsilon**2)
    values = np.sort(np.concatenate(distances))
    cut = int(len(values) * TRIM)
    values = values[cut : len(values) - cut]
    return Estimate(float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values))))


def path_lengths(generator: Any, num_samples: int = 128, seed: int = 0) -> np.ndarray:
    """How far images move per unit of w at random faces: |Jᵀy| (Karras et al. 2020, eq. 3).

    What path length regularization makes equal; needs no extractor.

    Args:
        generator: A StyleGAN2 generator.
        num_samples: Number of faces.
        seed: First of the faces' seeds; the image directions y come from it as well.

    Returns:
        float32 `(num_samples,)`.

    Raises:
        UserError: The generator has no w, or there is no sample.
    """
    if not hasattr(generator, "network") or num_samples < 1:
        raise UserError(f"path_lengths of {num_samples} samples: expected a StyleGAN2, at least 1")
    network, size = generator.network("const"), generator.resolution
    z = latents(range(seed, seed + num_samples), generator.latent_dim)
    styles = generator.styles(generator.mapping(z)).reshape(num_samples, -1)
    directions = np.random.default_rng(seed).standard_normal((num_samples, size * size * 3))

    def lengths(styles: Any, direction: Any) -> Any:
        def projected(styles: Any) -> tuple[Any, Any]:
            return ops.sum(network(styles, training=False) * direction), ()

        return lengths_of(autodiff.input_gradient(projected, styles)[2])

    split = styles.shape[1]
    rows = np.concatenate([styles, directions / size], axis=1).astype("float32")
    return in_chunks(
        lambda part: ops.convert_to_numpy(
            lengths(
                ops.convert_to_tensor(
                    part[:, :split].reshape(-1, generator.layers, generator.w_dim)
                ),
                ops.convert_to_tensor(part[:, split:].reshape(-1, size, size, 3)),
            )
        ),
        rows,
        generator.chunk,
    )


def _slerp(begin: np.ndarray, end: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Spherical walk between latents `(n, dim)`, row by row at its own position t `(n,)`."""
    return np.concatenate(
        [interpolate(a, b, np.array([x])) for a, b, x in zip(begin, end, t, strict=True)]
    ).astype(np.float32)
