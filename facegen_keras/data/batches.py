"""Faces as batches that `fit()` understands on every backend."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from facegen_keras import backend
from facegen_keras.data import order
from facegen_keras.data.faces import Faces
from facegen_keras.errors import UserError


class FaceBatches(keras.utils.PyDataset):
    """Batches of uint8 `(batch, height, width, 3)` images in an order fixed by (seed, epoch).

    The last partial batch of an epoch is dropped. `epoch` is the number of the current epoch. It
    grows by one when an epoch ends whose last batch has been read. Pass `shuffle=False` to `fit()`:
    the images are shuffled here, and Keras would otherwise reorder the batches with a generator
    that has no seed.

    Args:
        faces: The photos, from `load_faces`.
        batch_size: Images in a batch.
        seed: Seed of the order and the flips, 0 or more.
        start_epoch: Epoch of the first pass, from 0.
        skip_steps: Batches of the first epoch that were trained on before a resume. They are
            returned as zeros, which takes neither reading nor memory, for the caller to skip.
        share: The images of every batch to return, for a process that trains with others.

    Raises:
        UserError: The batch is larger than the data or not positive, or the seed is negative.
    """

    def __init__(
        self,
        faces: Faces,
        batch_size: int,
        seed: int = 0,
        start_epoch: int = 0,
        skip_steps: int = 0,
        share: slice = order.WHOLE,
    ) -> None:
        # One thread: reading 128 images from the cache takes about a millisecond.
        super().__init__(workers=1, use_multiprocessing=False)
        check_batch_size(batch_size, len(faces))
        if seed < 0:
            raise UserError(f"seed {seed}: must be 0 or more")
        self.faces = faces
        self.batch_size = batch_size
        self.seed = seed
        self.start_epoch = start_epoch
        self.skip_steps = skip_steps
        self.share = share
        self.epoch = start_epoch
        self._begun = self._read_to_the_end = False

    @property
    def num_batches(self) -> int:
        """Batches in an epoch."""
        return len(self.faces) // self.batch_size

    @property
    def images_read(self) -> int:
        """Images of a batch that are returned."""
        return len(range(*self.share.indices(self.batch_size)))

    def __len__(self) -> int:
        return self.num_batches

    def __getitem__(self, step: int) -> np.ndarray:
        if self._begun and step == self.num_batches - 1:
            self._read_to_the_end = True
        if self.epoch == self.start_epoch and step < self.skip_steps:
            side = self.faces.resolution
            return np.broadcast_to(np.zeros((), np.uint8), (self.images_read, side, side, 3))
        return order.batch(self.faces, self.seed, self.epoch, step, self.batch_size, self.share)

    def tensorflow_dataset(self) -> Any:
        """The same batches as a `tf.data.Dataset`, or None on JAX and PyTorch.

        An iteration reads the epoch that `epoch` holds when it begins; the caller sets it.
        """

        def epoch() -> Iterator[np.ndarray]:
            return map(self.__getitem__, range(self.num_batches))

        side = self.faces.resolution
        return backend.dataset(epoch, self.num_batches, (self.images_read, side, side, 3))

    # `fit` calls `on_epoch_end` once before its first epoch, and first reads a batch or two to
    # learn their shape. Neither is an epoch.

    def on_epoch_begin(self) -> None:
        """Begin an epoch: from here on, batches that are read count."""
        self._begun = True

    def on_epoch_end(self) -> None:
        """Advance to the next epoch if this one was read to its end."""
        if self._read_to_the_end:
            self.epoch += 1
        self._begun = self._read_to_the_end = False


class ShareOfBatches(keras.utils.PyDataset):
    """The part of each batch that one of several processes reads.

    Args:
        batches: Whole batches, arrays or tuples that begin with one.
        share: Which of their images.
    """

    def __init__(self, batches: keras.utils.PyDataset, share: slice) -> None:
        super().__init__(workers=1, use_multiprocessing=False)
        self.batches, self.share = batches, share

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> np.ndarray:
        batch = self.batches[index]
        return (batch[0] if isinstance(batch, tuple | list) else batch)[self.share]

    def on_epoch_begin(self) -> None:
        """Passed on."""
        self.batches.on_epoch_begin()

    def on_epoch_end(self) -> None:
        """Passed on."""
        self.batches.on_epoch_end()


def check_batch_size(batch_size: int, images: int) -> None:
    """Refuse batches that this number of images cannot fill.

    Raises:
        UserError: `batch_size` is less than 1 or more than `images`.
    """
    if not 1 <= batch_size <= images:
        problem = "must be 1 or more" if batch_size < 1 else "is larger than the data"
        raise UserError(
            f"batch_size {batch_size} {problem} ({images} images): give {images} or less, "
            "or more images"
        )
