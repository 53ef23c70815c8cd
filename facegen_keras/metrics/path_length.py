"""Path lengths: how far the image moves when the latent does.

Perceptual path length: Karras et al. 2018 (arXiv:1812.04948), section 4.1, with this package's
extractor in place of VGG. Its values compare only with each other, and are named after
the extractor.
"""

from typing import TypeGuard

import numpy as np
from keras import ops

from facegen_keras import losses
from facegen_keras.backend.types import Tensor
from facegen_keras.engine import autodiff
from facegen_keras.errors import UserError
from facegen_keras.generate.generator import Generator
from facegen_keras.generate.stylegan2 import StyleGAN2Generator
from facegen_keras.generate.walks import interpolate
from facegen_keras.inference import in_chunks, latents
from facegen_keras.metrics.estimate import Estimate
from facegen_keras.metrics.extractor import FeatureExtractor
from facegen_keras.metrics.sources import LatentModel

# The paper steps by 1e-4. At that distance float32 rounding moves the features as much as the step
# does; at 1e-3 the value is the same and rounding no longer matters (`tests/metrics/test_scores.py`
# compares steps).
EPSILON = 1e-3
TRIM = 0.01  # fraction left out at either end of the sorted distances, as in the paper's code


def perceptual_path_length(
    generator: LatentModel,
    extractor: FeatureExtractor,
    num_samples: int = 1000,
    seed: int = 0,
    epsilon: float = EPSILON,
    space: str | None = None,
    anywhere: bool | None = None,
) -> Estimate:
    """Mean squared feature distance of two images a small step apart, over the step squared.

    Args:
        generator: A `Generator`, or any callable from latents to images in [-1, 1] that has a
            `latent_dim`.
        extractor: Supplies the distance: squared Euclidean distance of features.
        num_samples: Number of walks.
        seed: First of the seeds of the walks' ends.
        epsilon: Length of the step, as a fraction of the walk.
        space: `"z"` (a spherical walk) or `"w"` (a straight one, through StyleGAN2's intermediate
            latent); by default w where the generator has it.
        anywhere: Whether the step is at a random point of its walk, or at the walk's start; by
            default as in the papers: anywhere in z, at the start in w.

    Returns:
        The mean without the smallest and the largest 1 %, and its standard error in `.error`.

    Raises:
        UserError: A space that this generator does not have, or an impossible number.
    """
    values = np.sort(
        walk_distances(generator, extractor, num_samples, seed, epsilon, space, anywhere)
    )
    cut = int(len(values) * TRIM)
    kept = values[cut : len(values) - cut]
    # Of a trimmed mean: the walks that are left out count as the outermost that are kept (Tukey &
    # McLaughlin 1963).
    spread = np.clip(values, kept[0], kept[-1]).std(ddof=1) * len(values) / len(kept)
    return Estimate(float(kept.mean()), float(spread / np.sqrt(len(values))))


def walk_distances(
    generator: LatentModel,
    extractor: FeatureExtractor,
    num_samples: int = 1000,
    seed: int = 0,
    epsilon: float = EPSILON,
    space: str | None = None,
    anywhere: bool | None = None,
) -> np.ndarray:
    """What `perceptual_path_length` is the mean of: float64 `(num_samples,)`, one per walk.

    The walks of one seed have the same ends and the same points in every space, so that two spaces
    can be compared walk by walk. The arguments and the errors are those of
    `perceptual_path_length`.
    """
    spaces = spaces_of(generator)
    space = space or spaces[-1]
    if space not in spaces:
        raise UserError(
            f"space={space!r}; choose 'z'" + (" or 'w'" if "w" in spaces else " (there is no w)")
        )
    if num_samples < 2 or epsilon <= 0:
        raise UserError(f"num_samples={num_samples}, epsilon={epsilon}; at least 2, and above 0")
    position = np.random.default_rng(seed).uniform(size=num_samples) * (1 - epsilon)
    if not (space == "z" if anywhere is None else anywhere):
        position = np.zeros(num_samples)
    distances = []
    step = max(1, extractor.batch_size // 2)
    for start in range(0, num_samples, step):
        walks = np.arange(start, min(start + step, num_samples))
        begin = latents(seed + 2 * walks, generator.latent_dim)
        end = latents(seed + 2 * walks + 1, generator.latent_dim)
        images = (
            _pairs_in_w(generator, begin, end, position[walks], epsilon)
            if space == "w" and _has_w(generator)
            else _pairs_in_z(generator, begin, end, position[walks], epsilon)
        )
        features = extractor.from_floats(np.clip((images + 1.0) * 127.5, 0.0, 255.0))
        first, second = np.split(features.astype(np.float64), 2)
        distances.append(((first - second) ** 2).sum(1) / epsilon**2)
    return np.concatenate(distances)


def w_path_lengths(generator: Generator, num_samples: int = 128, seed: int = 0) -> np.ndarray:
    """How far images move per unit of w, |Jᵀy|, at random faces (Karras et al. 2020, eq. 3).

    Path length regularization makes these lengths equal. Needs no extractor.

    Args:
        generator: A StyleGAN2 generator.
        num_samples: Number of faces.
        seed: First of the faces' seeds; the image directions y come from it as well.

    Returns:
        float32 `(num_samples,)`.

    Raises:
        UserError: The generator has no w, or the number of samples is impossible.
    """
    if not _has_w(generator) or num_samples < 1:
        raise UserError(
            f"w_path_lengths of {num_samples} samples: expected a StyleGAN2, at least 1"
        )
    network, size = generator.network("const"), generator.resolution
    z = latents(range(seed, seed + num_samples), generator.latent_dim)
    styles = generator.styles(generator.mapping(z)).reshape(num_samples, -1)
    random = np.random.default_rng(seed)

    def lengths(styles: Tensor, direction: Tensor) -> Tensor:
        def projected(styles: Tensor) -> tuple[Tensor, tuple[()]]:
            return ops.sum(network(styles, training=False) * direction), ()

        return losses.path_lengths(autodiff.input_gradient(projected, styles)[2])

    def of_rows(part: np.ndarray) -> np.ndarray:  # styles and directions, side by side
        split = styles.shape[1]
        return ops.convert_to_numpy(
            lengths(
                ops.convert_to_tensor(
                    part[:, :split].reshape(-1, generator.layers, generator.w_dim)
                ),
                ops.convert_to_tensor(part[:, split:].reshape(-1, size, size, 3)),
            )
        )

    found = []
    for start in range(0, num_samples, generator.chunk):  # the directions of one chunk at a time
        part = styles[start : start + generator.chunk]
        directions = random.standard_normal((len(part), size * size * 3))
        rows = np.concatenate([part, directions / size], axis=1).astype("float32")
        found.append(in_chunks(of_rows, rows, generator.chunk))
    return np.concatenate(found)


def spaces_of(generator: object) -> tuple[str, ...]:
    """The latent spaces of a `Generator`; any other callable has only z."""
    return getattr(generator, "spaces", ("z",))


def _has_w(generator: object) -> TypeGuard[StyleGAN2Generator]:
    """Whether there is a w, which only a StyleGAN2 has."""
    return "w" in spaces_of(generator)


def _pairs_in_w(
    generator: StyleGAN2Generator,
    begin: np.ndarray,
    end: np.ndarray,
    t: np.ndarray,
    epsilon: float,
) -> np.ndarray:
    """Images at positions t `(n,)` of straight walks in w, then those a step further on."""
    begin, end = generator.mapping(begin), generator.mapping(end)
    here = begin + t[:, None].astype("float32") * (end - begin)
    points = np.concatenate([here, here + epsilon * (end - begin)])
    return generator.synthesis(generator.styles(points))


def _pairs_in_z(
    generator: LatentModel, begin: np.ndarray, end: np.ndarray, t: np.ndarray, epsilon: float
) -> np.ndarray:
    """Images at positions t `(n,)` of spherical walks in z, then those a step further on."""
    z = np.concatenate([_slerp(begin, end, t), _slerp(begin, end, t + epsilon)])
    return np.asarray(generator(generator.codes(z) if isinstance(generator, Generator) else z))


def _slerp(begin: np.ndarray, end: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Spherical walk between latents `(n, dim)`, each row at its own position t `(n,)`."""
    return np.concatenate(
        [interpolate(a, b, np.array([x])) for a, b, x in zip(begin, end, t, strict=True)]
    ).astype(np.float32)
