"""The order in which faces are shown and the flips: pure functions of (seed, epoch).

A run that was killed and resumed asks for the same seed and epoch and sees the same images in the
same order, mirrored in the same places. Indices are shuffled; pixels stay where they are.
"""

from functools import lru_cache

import numpy as np

from facegen_keras.data.faces import Faces

WHOLE = slice(None)


@lru_cache(maxsize=4)  # a step asks for the plan of its epoch again and again
def _plan(seed: int, epoch: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(np.random.SeedSequence([seed, epoch]))
    permutation = rng.permutation(n)
    mirrored = rng.random(n) < 0.5
    permutation.setflags(write=False)
    mirrored.setflags(write=False)
    return permutation, mirrored


def order(seed: int, epoch: int, n: int) -> np.ndarray:
    """Return the order of `n` images in one epoch: a read-only permutation, int64 `(n,)`.

    Args:
        seed: The run's data seed, 0 or more.
        epoch: Number of the epoch, from 0.
        n: Number of images.
    """
    return _plan(seed, epoch, n)[0]


def flips(seed: int, epoch: int, n: int) -> np.ndarray:
    """Return which positions of an epoch are mirrored: read-only bool `(n,)`, half of them True.

    Indexed by position in the epoch, not by image, and drawn from the stream of `order`.
    """
    return _plan(seed, epoch, n)[1]


def batch(
    faces: Faces, seed: int, epoch: int, step: int, batch_size: int, share: slice = WHOLE
) -> np.ndarray:
    """Return one training batch, uint8 `(batch_size, height, width, 3)`, or a part of it.

    Args:
        faces: A `Faces`; mirrored at random where `faces.mirror` is set.
        seed: The run's data seed.
        epoch: Number of the epoch, from 0.
        step: Number of the batch within the epoch, from 0.
        batch_size: Images in a batch.
        share: The images of the batch to return.

    Raises:
        IndexError: The epoch has no such step (the last partial batch is dropped).
    """
    steps = len(faces) // batch_size
    if not 0 <= step < steps:
        raise IndexError(f"step {step} of an epoch of {steps}")
    start, stop, _ = share.indices(batch_size)
    positions = slice(step * batch_size + start, step * batch_size + stop)
    images = faces.batch(order(seed, epoch, len(faces))[positions])
    if faces.mirror:
        mirrored = flips(seed, epoch, len(faces))[positions]
        images[mirrored] = images[mirrored, :, ::-1]
    return images
