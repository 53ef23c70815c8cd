"""What keeps a training from being lost: autosave, a graceful end, alarms."""

import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from tqdm.auto import tqdm

from facegen_keras.engine import checkpoint
from facegen_keras.engine.callbacks import is_due

RECENT_STEPS = 20  # more than from one R1 step, which takes longest, to the next
LOOK_EVERY = 25  # steps between looks at the losses: each waits for the accelerator
COLLAPSE_RATIO = 0.25  # fakes this much more alike than photos are: one face for all seeds
GRACE = 20_000  # images before which a generator has had no time to draw different faces
HOPELESS_ACCURACY = 0.999  # a discriminator that is never wrong has nothing left to teach


class Autosave(keras.callbacks.Callback):
    """Write checkpoints: every so many epochs, every so many minutes, and when training ends.

    Args:
        folder: Where to.
        every: Epochs from one to the next.
        minutes: Minutes from one to the next within that.
        remember: Callbacks with `get_state()`; their memory goes into the checkpoint, under the
            name of their class.
        extra: JSON values to keep beside it, such as the tracker's run id.
    """

    def __init__(
        self,
        folder: str | Path,
        every: int,
        minutes: float,
        remember: Sequence[Any] = (),
        extra: dict[str, Any] | None = None,
    ):
        super().__init__()
        self.folder, self.every, self.minutes = Path(folder), every, minutes
        self.remember, self.extra = remember, extra or {}
        self.epoch = 0

    def on_train_begin(self, logs: dict | None = None) -> None:
        self.saved_at = time.monotonic()
        self.saved_step = self.model.steps

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if time.monotonic() - self.saved_at >= 60 * self.minutes:
            self._save(self.epoch, self.model.position)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if not self.model.epoch_is_complete:
            self._save(epoch, self.model.position)  # cut off: the end is near
        elif is_due(epoch, self.every, self.params["epochs"]) or self.model.stop_training:
            self._save(epoch + 1, 0)

    def _save(self, epoch: int, position: int) -> None:
        self.model.sync()
        if self.model.broken:  # never write what cannot be gone on from
            return
        if position == self.model.steps_per_epoch:
            return  # the end of the epoch saves this, with what its callbacks found
        memory = {type(c).__name__: c.get_state() for c in self.remember}
        checkpoint.save(self.model, self.folder, epoch, position, callbacks=memory, **self.extra)
        self.saved_at = time.monotonic()


def recall(callbacks: Sequence[Any], state: dict[str, Any]) -> list[Any]:
    """Give callbacks the memory that a checkpoint keeps; returns those that have one to keep.

    Args:
        callbacks: Any; those with `get_state` and `set_state` remember.
        state: Of `checkpoint.restore`; empty where a training begins.
    """
    remember = [c for c in callbacks if hasattr(c, "get_state")]
    for callback in remember:
        memory = state.get("callbacks", {}).get(type(callback).__name__)
        if memory:
            callback.set_state(memory)
    return remember


class GracefulStop(keras.callbacks.Callback):
    """End training at the next step, cleanly: on Ctrl-C, on SIGTERM (how clusters take a job
    back), and before the time is up. A second Ctrl-C ends it at once.

    What is still to come must fit into the time: one more step, and what was seen to happen
    between two steps, such as a checkpoint. So put this before the callbacks that save.

    Args:
        seconds: Time limit from the making of this object, or None.

    Attributes:
        reason: Why training was ended, or None.
    """

    def __init__(self, seconds: float | None = None):
        super().__init__()
        self.deadline = None if seconds is None else time.monotonic() + seconds
        self.reason: str | None = None
        self.handlers: dict[int, Any] = {}
        self.steps: deque[float] = deque(maxlen=RECENT_STEPS)  # seconds
        self.longest_pause = 0.0  # seconds between two steps

    def on_train_begin(self, logs: dict | None = None) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self.handlers[number] = signal.signal(number, self._on_signal)
        self.ended: float | None = None

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.began = time.monotonic()
        if self.ended is not None:
            self.longest_pause = max(self.longest_pause, self.began - self.ended)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.ended = time.monotonic()
        self.steps.append(self.ended - self.began)
        if self.deadline is not None and not self.reason:
            margin = max(self.steps) + self.longest_pause
            if self.ended + margin > self.deadline:
                self.reason = "the time limit is reached"
        if self.reason:
            self.model.stop_training = True

    def on_train_end(self, logs: dict | None = None) -> None:
        self.release()

    def release(self) -> None:
        """Give the signals back; also to be called when training ends with an exception."""
        for number, handler in self.handlers.items():
            signal.signal(number, handler)
        self.handlers = {}

    def _on_signal(self, number: int, frame: Any) -> None:
        if self.reason:
            raise KeyboardInterrupt
        self.reason = f"{signal.Signals(number).name} received"
        tqdm.write(f"{self.reason}: saving a checkpoint (once more ends at once)")


class NanGuard(keras.callbacks.Callback):
    """End training when a loss is not finite, before anything is saved over."""

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self.model.position % LOOK_EVERY == 0:
            self._look()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._look()

    def _look(self) -> None:
        self.model.sync()
        if self.model.broken:
            self.model.stop_training = True


class CollapseAlarm(keras.callbacks.Callback):
    """Say when a generator draws one face for all seeds, or its discriminator is never wrong.

    The mean distance between pairs of samples is compared with that between pairs of photos, and
    written to the epoch's log as `diversity` (1: as different as photos).

    Args:
        photos: uint8 `(n, height, width, 3)`.
        every: Epochs from one look to the next.
        tell: What is called with the message.
    """

    def __init__(self, photos: np.ndarray, every: int, tell: Callable[[str], None] = tqdm.write):
        super().__init__()
        self.real_distance = pairwise_distance(photos)
        self.every, self.tell = every, tell
        self.alarms: list[str] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        due = is_due(epoch, self.every, self.params["epochs"])
        if logs is None or not due or not self.model.epoch_is_complete:
            return
        diversity = pairwise_distance(self.model.sample(range(32))) / max(self.real_distance, 1e-9)
        logs["diversity"] = round(diversity, 4)
        if self.model.images_seen < GRACE:
            return
        accuracies = [logs.get("real_accuracy", 0.0), logs.get("fake_accuracy", 0.0)]
        if diversity < COLLAPSE_RATIO:
            self._raise(
                f"collapse? samples differ only {diversity:.2f} times as much as photos do; "
                "try augment, a lower learning_rate, or an earlier checkpoint"
            )
        elif min(accuracies) > HOPELESS_ACCURACY:
            self._raise(
                "the discriminator is never wrong, so the generator learns little; "
                "try r1_gamma, label_smoothing or augment"
            )

    def _raise(self, message: str) -> None:
        self.alarms.append(message)
        self.tell(f"warning: {message}")


def pairwise_distance(images: np.ndarray) -> float:
    """Mean root-mean-square difference between pairs of images, in grey levels of [0, 255].

    Args:
        images: uint8 `(n, height, width, 3)`; of a single one it is NaN.
    """
    if len(images) < 2:
        return float("nan")
    flat = images.reshape(len(images), -1).astype("float64")
    norms = (flat**2).sum(axis=1)
    squared = norms[:, None] + norms[None, :] - 2 * flat @ flat.T
    upper = squared[np.triu_indices(len(flat), 1)]
    return float(np.sqrt(np.clip(upper, 0, None) / flat.shape[1]).mean())
