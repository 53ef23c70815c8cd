"""Augmentations of photos and fakes before the discriminator, which keep it from memorising a small
data set. They are differentiable, so that the generator's gradient passes through them.

DiffAugment (Zhao et al. 2020): colour, translation and cutout, with the ranges of its section 3.
"""

from typing import Any

import keras
from keras import ops

Tensor = Any
MAX_SHIFT = 0.125  # of the height and width; section 3 of the paper
CUTOUT_SIZE = 0.5  # of the height and width; section 3 of the paper


def diff_augment(
    images: Tensor, policy: tuple[str, ...], seed: keras.random.SeedGenerator, probability: Any = 1
) -> Tensor:
    """Augment each image with random numbers of its own.

    Args:
        images: float32 `(batch, height, width, 3)` in [-1, 1].
        policy: What `augment_policy.parse_policy` returns.
        seed: Source of the random numbers.
        probability: Probability that an image is augmented at all; a number or a scalar tensor.

    Returns:
        The same shape; colours may leave [-1, 1], as in the paper.
    """
    augmented = images
    batch = ops.shape(images)[0]

    def uniform(low: float, high: float) -> Tensor:
        return keras.random.uniform((batch, 1, 1, 1), low, high, seed=seed)

    if "color" in policy:
        augmented = augmented + uniform(-0.5, 0.5)
        grey = ops.mean(augmented, axis=3, keepdims=True)
        augmented = grey + (augmented - grey) * uniform(0.0, 2.0)
        level = ops.mean(augmented, axis=(1, 2, 3), keepdims=True)
        augmented = level + (augmented - level) * uniform(0.5, 1.5)
    if "translation" in policy:
        augmented = _translate(augmented, uniform(-1.0, 1.0), uniform(-1.0, 1.0))
    if "cutout" in policy:
        augmented = augmented * _cutout_mask(augmented, uniform(0.0, 1.0), uniform(0.0, 1.0))
    if isinstance(probability, int | float) and probability >= 1:
        return augmented
    chosen = ops.cast(uniform(0.0, 1.0) < probability, augmented.dtype)
    return chosen * augmented + (1.0 - chosen) * images


def _translate(images: Tensor, vertical: Tensor, horizontal: Tensor) -> Tensor:
    """Shift by whole pixels, up to `MAX_SHIFT`; pixels from outside are 0 (grey).

    A shift along one axis is a product with a shifted identity matrix. It is linear, so that it has
    first and second derivatives on every backend; a gather has not.
    """

    def shift_matrix(size: int, amount: Tensor) -> Tensor:
        most = round(size * MAX_SHIFT)  # all shifts up to it are equally likely
        shift = ops.floor((amount + 1.0) / 2.0 * (2 * most + 1)) - most
        position = ops.reshape(ops.arange(size, dtype="float32"), (1, size, 1))
        source = ops.reshape(ops.arange(size, dtype="float32"), (1, 1, size))
        return ops.cast(ops.equal(position + ops.reshape(shift, (-1, 1, 1)), source), images.dtype)

    rows = shift_matrix(images.shape[1], vertical)
    columns = shift_matrix(images.shape[2], horizontal)
    return ops.einsum("bik,bjl,bklc->bijc", rows, columns, images)


def _cutout_mask(images: Tensor, vertical: Tensor, horizontal: Tensor) -> Tensor:
    """0 inside a square of `CUTOUT_SIZE` centred anywhere in the image, 1 outside."""

    def inside(size: int, centre: Tensor, shape: tuple[int, ...]) -> Tensor:
        half = size * CUTOUT_SIZE / 2
        position = ops.reshape(ops.arange(size, dtype="float32"), shape)
        return ops.abs(position + 0.5 - centre * size) <= half

    height, width = images.shape[1], images.shape[2]
    square = ops.logical_and(
        inside(height, vertical, (1, height, 1, 1)), inside(width, horizontal, (1, 1, width, 1))
    )
    return 1.0 - ops.cast(square, images.dtype)
