"""Callbacks that show and record a training: progress, pictures, log, exports."""

import json
import math
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from PIL import Image
from tqdm.auto import tqdm

from facegen_keras.backend.types import Logs
from facegen_keras.data.faces import Faces
from facegen_keras.engine.distribution import alone
from facegen_keras.export.write import save_generator
from facegen_keras.files.atomic import write_text
from facegen_keras.pictures import save_frames, save_grid, tile

GRID_SEEDS = range(64)  # 8 by 8 faces
TIMELAPSE_SIDE = 512  # pixels; a film of full grids at 256x256 would be hundreds of megabytes
TIMELAPSE_FILE = "timelapse.gif"
TIMELAPSE = 8.0  # seconds that the film takes, within the limits of a frame
TIMELAPSE_QUICKEST, TIMELAPSE_SLOWEST, TIMELAPSE_LAST = 0.05, 0.5, 2.0
SHOWN = 128  # least side of a face in a notebook, in pixels, by whole multiples of its own
FIRST_GRID = "fakes_init.png"


class Progress(keras.callbacks.Callback):
    """One bar with an ETA over the whole training, in a terminal and in a notebook."""

    only_in_first = True

    def on_train_begin(self, logs: Logs | None = None) -> None:
        steps, epochs = self.model.steps_per_epoch, self.params["epochs"]
        start = self.model.start
        done = steps * start.epoch + start.position
        self.to_skip = start.position  # these batches pass through in no time: not counted again
        self.bar = tqdm(total=steps * epochs, initial=done, unit="step", mininterval=0.5)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self.bar.set_description(f"epoch {epoch + 1}/{self.params['epochs']}", refresh=False)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if self.to_skip:
            self.to_skip -= 1
        else:
            self.bar.update(1)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        losses = {k: f"{v:.3g}" for k, v in (logs or {}).items() if isinstance(v, float)}
        self.bar.set_postfix(losses, refresh=False)

    def on_train_end(self, logs: Logs | None = None) -> None:
        self.close()

    def close(self) -> None:
        """End the line of the bar, also where an error ended the training."""
        bar = getattr(self, "bar", None)
        if bar is not None:
            bar.close()


class ImageGrid(keras.callbacks.Callback):
    """Faces of the same seeds through training: `fakes_init.png`, `fakes_epoch0050.png`, ...,
    and a film of them, `timelapse.gif`.

    Args:
        folder: Where the pictures go; made if it is missing.
        every: Epochs between two pictures; the last epoch always gets one.
        seeds: Seeds of the faces, one per place in the grid.
        show: Also show each picture in the notebook.
    """

    only_in_first = True

    def __init__(
        self,
        folder: str | os.PathLike,
        every: int = 1,
        seeds: Sequence[int] = GRID_SEEDS,
        show: bool = False,
    ) -> None:
        super().__init__()
        self.folder = Path(folder)
        self.every = every
        self.seeds = list(seeds)
        self.show = show
        self.latest: np.ndarray | None = None
        self._shown: Any = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._shown = None  # each training in an output of its own
        if self.model.steps == 0:
            self._draw(FIRST_GRID)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self.model.epoch_is_complete and is_due(epoch, self.every, self.params["epochs"]):
            self._draw(f"fakes_epoch{epoch + 1:04d}.png")

    def on_train_end(self, logs: Logs | None = None) -> None:
        save_timelapse(self.folder)

    def _draw(self, name: str) -> None:
        self.latest = self.model.sample(self.seeds)
        save_grid(self.latest, self.folder / name)
        if self.show:
            from IPython.display import display

            # Update this one output: clearing the cell would remove the progress bar as well.
            picture = Image.fromarray(tile(self.latest))
            times = max(1, SHOWN // self.latest.shape[1])
            size = [times * side for side in picture.size]
            picture = picture.resize(size, Image.Resampling.NEAREST)
            said = {"image/png": {"alt": f"Faces of the same latents, {Path(name).stem}"}}
            if self._shown is None:
                self._shown = display(picture, display_id=True, metadata=said)
            else:
                self._shown.update(picture, metadata=said)


def grid_pictures(folder: str | os.PathLike) -> list[Path]:
    """The pictures of an `ImageGrid` that are in its folder, in the order they were drawn."""
    # Sorted as numbers: the name of epoch 10000 is longer than that of 9950, and smaller as text.
    epochs = sorted(Path(folder).glob("fakes_epoch*.png"), key=lambda p: (len(p.name), p.name))
    return [path for path in (Path(folder) / FIRST_GRID, *epochs) if path.exists()]


def save_timelapse(folder: str | os.PathLike) -> None:
    """Write `timelapse.gif` from the pictures of an `ImageGrid`, where there are two or more."""
    pictures = grid_pictures(folder)
    if len(pictures) > 1:
        one = min(TIMELAPSE_SLOWEST, max(TIMELAPSE_QUICKEST, TIMELAPSE / len(pictures)))
        seconds = [one] * (len(pictures) - 1) + [TIMELAPSE_LAST]  # one looks at the last
        save_frames(_frames(pictures), Path(folder) / TIMELAPSE_FILE, seconds)


class RunLog(keras.callbacks.Callback):
    """A line of JSON per epoch in `log.jsonl`: losses, images seen, images per second, memory.

    A value that is not a finite number is written as `null`: JSON has no NaN. So is a loss that no
    step of the epoch computed: Keras takes its mean for 0.
    """

    only_in_first = True

    def __init__(self, path: str | os.PathLike) -> None:
        super().__init__()
        self.path = Path(path)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # A resumed run trains the epochs after its checkpoint again: their lines are dropped.
        if self.path.exists():
            lines = self.path.read_text(encoding="utf-8", errors="replace").splitlines()
            kept = [line for line in lines if _epoch_of(line) <= self.model.start.epoch]
            write_text(self.path, "".join(f"{line}\n" for line in kept))

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self.began, self.images_before = time.monotonic(), self.model.images_seen

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if not self.model.epoch_is_complete:
            return
        images_seen, seconds = self.model.images_seen, time.monotonic() - self.began
        line = {
            "epoch": epoch + 1,
            "images_seen": images_seen,
            "step": self.model.steps,
            **(logs or {}),
            **dict.fromkeys(self.model.never_computed()),
            "images_per_second": round((images_seen - self.images_before) / seconds, 2),
            "peak_memory_mib": round(peak_memory_mib(), 1),
            "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        }
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(_plain(line), allow_nan=False) + "\n")


class Export(keras.callbacks.Callback):
    """Export the generator as it is now, every few epochs.

    Args:
        path: The file, replaced each time.
        every: Epochs between two exports; the last epoch is always exported.
        run: Name of the run, for the metadata.
    """

    only_in_first = True

    def __init__(self, path: str | os.PathLike, every: int, run: str) -> None:
        super().__init__()
        self.path, self.every, self.run = Path(path), every, run

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self.model.epoch_is_complete and is_due(epoch, self.every, self.params["epochs"]):
            save_generator(self.model, self.path, run=self.run)


class LearningRateDecay(keras.callbacks.Callback):
    """Decay the learning rates linearly to zero over the last epochs of a training.

    They change from one epoch to the next, never within one, and depend only on the number of the
    epoch, so a resumed run has the same. The factor in use goes into the epoch's log.

    Args:
        rates: The full rate of each optimizer, by name.
        start: Where the decay begins, as a fraction of all epochs.
    """

    def __init__(self, rates: dict[str, float], start: float) -> None:
        super().__init__()
        self.rates, self.start = rates, start

    def factor(self, epoch: int) -> float:
        """The factor on the rates in an epoch (counted from 0), taken at the epoch's middle."""
        epochs = self.params["epochs"]
        return min(1.0, (epochs - epoch - 0.5) / (epochs * (1 - self.start)))

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        for name, rate in self.rates.items():
            self.model.optimizer[name].learning_rate = rate * self.factor(epoch)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if logs is not None:
            logs["learning_rate_factor"] = round(self.factor(epoch), 4)


class LatentReport(keras.callbacks.Callback):
    """Log the KL divergence of each latent dimension and the number of active units.

    Args:
        images: uint8 `(n, height, width, 3)`, preferably held out of the training.
    """

    only_in_first = True

    def __init__(self, images: np.ndarray) -> None:
        super().__init__()
        self.images = images

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self.model.epoch_is_complete and logs is not None:
            statistics = self.model.latent_statistics(self.images)
            logs["active_units"] = int(statistics["active"].sum())
            logs["kl_per_dimension"] = [round(float(k), 4) for k in statistics["kl_per_dimension"]]


class BestModel(keras.callbacks.Callback):
    """Log the loss of held-out photos; keep the best model by it, and stop when it stagnates.

    What it remembers is part of every checkpoint (`get_state`, `set_state`).

    Args:
        faces: Held-out `Faces`.
        path: Where the best generator is exported to; None keeps no model.
        run: Name of the run, for the export's metadata.
        patience: Epochs without improvement after which training stops; None never stops.
    """

    only_in_first = True

    def __init__(
        self,
        faces: Faces,
        path: str | os.PathLike | None,
        run: str,
        patience: int | None = None,
    ) -> None:
        super().__init__()
        self.path = None if path is None else Path(path)
        self.faces, self.run, self.patience = faces, run, patience
        self.best, self.best_epoch = float("inf"), 0

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if not self.model.epoch_is_complete:
            return
        with alone(self.model):
            losses = self.model.validate(self.faces)
        if logs is not None:
            logs.update({f"val_{name}": value for name, value in losses.items()})
        if losses["loss"] < self.best:
            self.best, self.best_epoch = losses["loss"], epoch + 1
            if self.path is not None:
                save_generator(self.model, self.path, run=self.run)
        elif self.is_over(epoch + 1):
            tqdm.write(
                f"validation loss no better than {self.best:.4g} for {self.patience} epochs: "
                f"stopping; the best model is that of epoch {self.best_epoch}"
            )
            self.model.stop_training = True

    def is_over(self, epochs: int) -> bool:
        """Whether patience has run out after this many epochs; also true in a resumed run."""
        return self.patience is not None and epochs - self.best_epoch >= self.patience

    def get_state(self) -> dict[str, Any]:
        return {"best": self.best, "best_epoch": self.best_epoch, "kept": self.path is not None}

    def set_state(self, state: dict[str, Any]) -> None:
        if self.path is not None and not state.get("kept", True):
            return  # `fid_every` chose the model until now: the file is not that of this best
        self.best, self.best_epoch = state["best"], state["best_epoch"]


def is_due(epoch: int, every: int, epochs: int) -> bool:
    """Whether what happens every `every` epochs, and after the last, is due after this one (from
    0).
    """
    return (epoch + 1) % every == 0 or epoch + 1 == epochs


def peak_memory_mib() -> float:
    """The peak resident memory of this process in MiB; NaN where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return float("nan")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def _plain(value: Any) -> Any:
    """A value of a log as JSON can represent it."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if isinstance(value, int | str):
        return value
    return float(value) if value is not None and math.isfinite(value) else None


def _epoch_of(line: str) -> float:
    try:
        return json.loads(line)["epoch"]
    except (ValueError, KeyError, TypeError):  # the half line of a killed process
        return float("inf")


def _frames(paths: list[Path]) -> np.ndarray:
    """The pictures as frames of one size: progressive growing draws small ones first."""
    frames = []
    for path in paths:
        with Image.open(path) as image:
            frame = image.convert("RGB")
            frame.thumbnail((TIMELAPSE_SIDE, TIMELAPSE_SIDE))
            frames.append(frame)
    size = max(frame.size for frame in frames)
    return np.stack([np.asarray(f.resize(size, Image.Resampling.NEAREST)) for f in frames])
