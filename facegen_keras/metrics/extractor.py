"""From images to features: what all extractors share.

The images go to the device as uint8 and are resized there (see `preprocess`), or by Pillow where
the protocol rounds to whole pixel values. A thread prepares the next batch while the network runs.
Every run has the same shape (the last batch is padded), so the features of an image do not depend
on the other images of its batch.
"""

import contextlib
import hashlib
import json
import queue
import threading
from collections.abc import Generator, Iterable, Iterator

import keras
import numpy as np
from numpy.typing import ArrayLike
from PIL import Image
from tqdm import tqdm

from facegen_keras import backend
from facegen_keras.errors import UserError
from facegen_keras.metrics.preprocess import Preprocess
from facegen_keras.metrics.sources import Images, ImageSet


class FeatureExtractor:
    """A frozen network and its protocol; see `InceptionFeatures`, `EfficientNetLite0Features` and
    `FaceDescriptorFeatures`.

    Attributes:
        name: The network and its vintage.
        dim: Features per image.
        resize: Name of the resize protocol.
        weights_sha256: Hex sha256 of the weights.
        canonical: Whether the distance on these features is the FID of the literature.
        pretrained_on: The images that the weights come from; "" where that is not known.
    """

    name: str
    dim: int
    pretrained_on: str = ""
    _packaged: bool = False

    def __init__(
        self,
        network: keras.Model,
        *,
        weights_sha256: str,
        filter: str,
        offset: float,
        scale: float,
        resize: str,
        batch_size: int,
        pillow: bool = False,
    ) -> None:
        size = network.input_shape[1]
        self._describe(weights_sha256, resize, batch_size, size, pillow)
        self._network = network
        self._preprocessing = {"size": size, "filter": filter, "offset": offset, "scale": scale}
        self._compiled: dict[tuple, keras.Model] = {}

    def _describe(
        self, weights_sha256: str, resize: str, batch_size: int, size: int, pillow: bool
    ) -> None:
        """Set what every extractor has, that of another library too.

        Args:
            weights_sha256: Hex sha256 of the weights.
            resize: Name of the resize protocol.
            batch_size: Images per run.
            size: Side of the images that the network reads.
            pillow: Whether Pillow resizes to that side before the network runs.

        Raises:
            UserError: There is no such batch.
        """
        if batch_size < 1:
            raise UserError(f"batch_size={batch_size}; give at least 1")
        self.weights_sha256 = weights_sha256
        self.resize = resize
        self.batch_size = batch_size
        self._size = size
        self._pillow = pillow

    @property
    def canonical(self) -> bool:
        """Whether the distance on these features is the FID of the literature."""
        return False

    @property
    def label(self) -> str:
        """The name in brackets after a number that is not the canonical one.

        Weights are named too, unless they are those of the package that an extra installs.
        """
        return self.name if self._packaged else f"{self.name}, weights {self.weights_sha256[:8]}"

    @property
    def protocol(self) -> dict[str, str]:
        """What makes numbers comparable: network, sha256 of its weights, resize."""
        return {
            "extractor": self.name,
            "weights_sha256": self.weights_sha256,
            "resize": self.resize,
        }

    @property
    def fingerprint(self) -> str:
        """Hex sha256 of the protocol; part of the name of cached statistics."""
        return hashlib.sha256(json.dumps(self.protocol, sort_keys=True).encode()).hexdigest()

    def __call__(self, images: Images, progress: bool = False) -> np.ndarray:
        """Features of images, float32 `(n, dim)`.

        Args:
            images: uint8 `(n, height, width, 3)`, or `Faces`, or an iterable of uint8 batches.
            progress: Show a progress bar.

        Raises:
            UserError: The images are not uint8 RGB.
        """
        parts = list(self.stream(images, progress))
        return np.concatenate(parts) if parts else np.zeros((0, self.dim), np.float32)

    def stream(self, images: Images, progress: bool = False) -> Iterator[np.ndarray]:
        """Features batch by batch, float32 `(batch, dim)`, in the order of the images.

        While the network works on one batch, a thread decodes or generates the next. Only a few
        batches are in memory at a time.

        Args:
            images: As in `__call__`.
            progress: Show a progress bar.

        Raises:
            UserError: The images are not uint8 RGB.
        """
        total = len(images) if isinstance(images, ImageSet) else None
        with (
            contextlib.closing(_ahead(self._prepared(images))) as batches,
            tqdm(total=total, unit="img", desc=self.name, disable=not progress, leave=False) as bar,
        ):
            for batch in batches:
                yield self._run(batch)
                bar.update(len(batch))

    def from_floats(self, pixels: np.ndarray) -> np.ndarray:
        """Features of unrounded images: float32 `(n, height, width, 3)` in [0, 255].

        For differences smaller than one grey level (perceptual path length).
        """
        parts = [
            self._run(np.asarray(pixels[i : i + self.batch_size], np.float32))
            for i in range(0, len(pixels), self.batch_size)
        ]
        return np.concatenate(parts)

    def logits(self, features: np.ndarray, bias: bool = True) -> np.ndarray:
        """The class logits of features, float32 `(n, classes)`, for the Inception Score.

        Args:
            features: `(n, dim)`.
            bias: Add the classifier's bias.

        Raises:
            UserError: This extractor has no classifier.
        """
        raise UserError(f"{self.name} has no classifier, which the Inception Score needs")

    def _prepared(self, images: Images) -> Iterator[np.ndarray]:
        """The work of the thread: cut into batches, and resize where the protocol is Pillow's."""
        size = self._size
        for batch in _chunks(images, self.batch_size):
            if self._pillow and batch.shape[1:3] != (size, size):
                bicubic = Image.Resampling.BICUBIC
                batch = np.stack(
                    [np.asarray(Image.fromarray(x).resize((size, size), bicubic)) for x in batch]
                )
            yield batch

    def _run(self, batch: np.ndarray) -> np.ndarray:
        count = len(batch)
        if count < self.batch_size:
            padding = np.zeros((self.batch_size - count, *batch.shape[1:]), batch.dtype)
            batch = np.concatenate([batch, padding])
        # TF32 would move features by 1e-3.
        with backend.alone(), backend.exact_float32():
            model = self._model(batch.shape[1:], batch.dtype.name)
            return np.asarray(model.predict_on_batch(batch), np.float32)[:count]

    def _model(self, shape: tuple, dtype: str) -> keras.Model:
        if (shape, dtype) not in self._compiled:
            inputs = keras.Input(shape, dtype=dtype)
            model = keras.Model(inputs, self._network(Preprocess(**self._preprocessing)(inputs)))
            # XLA on a CPU makes TensorFlow's convolutions several times slower; JAX is only XLA.
            model.jit_compile = backend.ONLY_XLA
            self._compiled[shape, dtype] = model
        return self._compiled[shape, dtype]


def _chunks(images: Images, size: int) -> Iterator[np.ndarray]:
    """Cut any source of images into uint8 batches of `size`; the last one may be shorter."""
    if isinstance(images, ImageSet):
        for start in range(0, len(images), size):
            yield _checked(images[start : min(start + size, len(images))])
        return
    rest: list[np.ndarray] = []
    for part in images:
        rest.append(_checked(part))
        while sum(map(len, rest)) >= size:
            joined = np.concatenate(rest) if len(rest) > 1 else rest[0]
            yield joined[:size]
            rest = [joined[size:]] if len(joined) > size else []
    if rest:
        yield np.concatenate(rest)


def _checked(batch: ArrayLike) -> np.ndarray:
    batch = np.asarray(batch)
    if batch.dtype != np.uint8 or batch.ndim != 4 or batch.shape[-1] != 3:
        raise UserError(
            f"images of {batch.dtype} {batch.shape}; expected uint8 (n, height, width, 3) in RGB"
        )
    return batch


def _ahead(batches: Iterable[np.ndarray], depth: int = 2) -> Generator[np.ndarray, None, None]:
    """Run an iterator in a thread, at most `depth` batches ahead of its consumer."""
    ready: queue.Queue[tuple[np.ndarray | None, BaseException | None]] = queue.Queue(depth)
    stopped = threading.Event()

    def put(item: tuple[np.ndarray | None, BaseException | None]) -> bool:
        while not stopped.is_set():
            with contextlib.suppress(queue.Full):
                ready.put(item, timeout=0.1)
                return True
        return False

    def work() -> None:
        try:
            for batch in batches:
                if not put((batch, None)):
                    return
            put((None, None))
        except BaseException as error:  # raised again in the consumer
            put((None, error))

    thread = threading.Thread(target=work, daemon=True, name="facegen-images")
    thread.start()
    try:
        while True:
            batch, error = ready.get()
            if error is not None:
                raise error
            if batch is None:
                return
            yield batch
    finally:
        stopped.set()
        thread.join()
