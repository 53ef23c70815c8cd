"""FID while training: measure every few epochs and keep the best generator by it."""

import os
import warnings
from collections.abc import Mapping
from pathlib import Path

import keras

from facegen_keras import backend
from facegen_keras.engine.callbacks import is_due
from facegen_keras.errors import UserError
from facegen_keras.export.write import save_generator
from facegen_keras.generate.loading import as_generator
from facegen_keras.metrics.evaluate import evaluate
from facegen_keras.metrics.extractor import FeatureExtractor
from facegen_keras.metrics.reference import CacheDir, Reference
from facegen_keras.metrics.sources import ImageSet


class MetricEvery(keras.callbacks.Callback):
    """Measure the averaged generator every few epochs; keep the best one by the distance.

    The samples are those of fixed seeds and the photos a fixed choice, measured once, so that the
    values of a run differ only by the weights. The value goes into the epoch's log under its key:
    `fid` or `kid` for the canonical Inception, `fd` or `kd` for other features. Put this callback
    before those that write the log. What it remembers is part of a checkpoint (`get_state`,
    `set_state`), and is restored only where `state_key` is the same.

    Args:
        faces: Reference `Faces`.
        path: Where the best generator is exported to (.h5 or .keras), with the value and its
            protocol in its metadata; None keeps no model.
        run: Name of the run, for that metadata.
        every: Epochs between two measurements; the last epoch is always measured.
        extractor: An `InceptionFeatures` or `EfficientNetLite0Features`. It is passed ready-made,
            so that missing weights are noticed before the training starts.
        metric: `"fid"` or `"kid"`; KID is steadier below 10,000 images.
        num_images: Samples generated, and photos compared with, each time.
        seed: First seed of the samples.
        cache_dir: Where the features of the photos are kept; False keeps nothing.

    Raises:
        UserError: An impossible setting.
    """

    only_in_first = True

    def __init__(
        self,
        faces: ImageSet,
        path: str | os.PathLike | None,
        run: str | None,
        every: int,
        extractor: FeatureExtractor,
        metric: str = "fid",
        num_images: int = 5000,
        seed: int = 0,
        cache_dir: CacheDir = None,
    ) -> None:
        super().__init__()
        if metric not in ("fid", "kid"):
            raise UserError(f"metric={metric!r}; choose 'fid' or 'kid' (lower is better)")
        if every < 1 or num_images < 2:
            raise UserError(f"every={every}, num_images={num_images}; give at least 1 and 2")
        self.path = None if path is None else Path(path)
        self.run, self.every, self.metric = run, every, metric
        self.extractor, self.num_images, self.seed = extractor, num_images, seed
        self.reference = Reference(extractor, faces, num_images, cache_dir)
        self.best, self.best_epoch = float("inf"), 0
        self._warned = False

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Measure if it is time, write the value into the log, keep the model if it is the best."""
        if not self.model.epoch_is_complete or not is_due(epoch, self.every, self.params["epochs"]):
            return
        with backend.alone(), warnings.catch_warnings():
            if self._warned:  # that there are few images is said once; a collapse may come later
                warnings.filterwarnings("ignore", ".*Fréchet distance", UserWarning)
            self._warned = True
            result = evaluate(
                as_generator(self.model),
                self.reference,
                [self.metric],
                self.num_images,
                extractor=self.extractor,
                seed=self.seed,
                name=self.run or "training",
                progress=False,
            )
        (key, number), *_ = result.numbers.items()
        if logs is not None:
            logs[key] = number.value
        if number.value < self.best and not self.model.is_warming_up:
            self.best, self.best_epoch = number.value, epoch + 1
            if self.path is not None:
                save_generator(self.model, self.path, run=self.run, metrics=result.records())

    @property
    def state_key(self) -> str:
        """What is measured and how: only values under the same key compare."""
        network = f"{self.extractor.name} {self.extractor.fingerprint[:12]}"
        return f"{self.metric} {network}, {self.num_images} images from seed {self.seed}"

    def get_state(self) -> dict[str, float]:
        """The best value so far and its epoch (counted from 1), for a checkpoint."""
        return {"best": self.best, "best_epoch": self.best_epoch}

    def set_state(self, state: Mapping[str, float]) -> None:
        """Continue from what `get_state` returned."""
        self.best, self.best_epoch = float(state["best"]), int(state["best_epoch"])
