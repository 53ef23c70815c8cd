"""Callbacks that keep a training from being lost: autosave, a graceful end, alarms."""

import contextlib
import os
import signal
import stat
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from tqdm.auto import tqdm

from facegen_keras.backend.types import Logs
from facegen_keras.engine import checkpoint, distribution
from facegen_keras.engine.callbacks import is_due
from facegen_keras.engine.run_state import RunState

RECENT_STEPS = 20  # more than from one R1 step (the slowest, every 16) to the next
CHECK_EVERY = 25  # steps between checks of the losses: each check waits for the accelerator
COLLAPSE_RATIO = 0.25  # our choice: samples a quarter as different as photos are nearly one face
GRACE = 20_000  # images before which a generator has had no time to draw different faces
LAST_SHARE, LAST_SECONDS = 0.05, 60.0  # of a time limit, kept for the last export and grid
HOPELESS_ACCURACY = 0.999  # a discriminator that is never wrong has nothing left to teach
AGREE_EVERY = 1.0  # seconds between two questions to the other processes whether to stop
HANGUP = (signal.SIGHUP,) if hasattr(signal, "SIGHUP") else ()  # Windows has none
SEEDS_COMPARED = range(32)  # 496 pairs of samples
VALUES_AT_A_TIME = 2**14  # of an image, as float64: 64 MB of 512 photos


class Autosave(keras.callbacks.Callback):
    """Write checkpoints: every few epochs, every few minutes, and when training ends.

    Args:
        folder: Where to.
        every: Epochs between two checkpoints.
        minutes: Minutes between two checkpoints within these epochs.
        callbacks: Callbacks of the same training. The states of those that have one go into the
            checkpoint (see `stateful`).
    """

    only_in_first = True

    def __init__(
        self, folder: str | os.PathLike, every: int, minutes: float, callbacks: Sequence[Any] = ()
    ) -> None:
        super().__init__()
        self.folder, self.every, self.minutes = Path(folder), every, minutes
        self.stateful = stateful(callbacks)
        self.epoch = 0
        self.saved_at = time.monotonic()

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.saved_at = time.monotonic()

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if self._is_time():
            self._save(self.epoch, self.model.position)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if not self.model.epoch_is_complete:
            self._save(epoch, self.model.position)  # cut off: training is about to end
        elif (
            is_due(epoch, self.every, self.params["epochs"])
            or self.model.stop_training
            or self._is_time()  # an epoch of one step has no other moment
        ):
            self._save(epoch + 1, 0)

    def _is_time(self) -> bool:
        return time.monotonic() - self.saved_at >= 60 * self.minutes

    def _save(self, epoch: int, position: int) -> None:
        self.model.sync()
        if self.model.broken:  # never save what cannot be resumed from
            return
        if position == self.model.steps_per_epoch:
            return  # the end of the epoch saves this, with what its callbacks found
        if not self.model.has_finite_weights():
            self.model.stop_training = True
            return
        states = {key: callback.get_state() for key, callback in self.stateful.items()}
        checkpoint.save(self.model, self.folder, epoch, position, states)
        self.saved_at = time.monotonic()


def stateful(callbacks: Sequence[Any]) -> dict[str, Any]:
    """The callbacks that have a state to save, by a key that is the same after a resume.

    A callback has a state if it has `get_state()` and `set_state(state)`. Its key is the name of
    its class, followed by its `state_key` where it has one: two `MetricEvery` differ by what they
    measure. Callbacks of equal keys are numbered in their order: `Counter`, `Counter 2`.
    """
    found: dict[str, Any] = {}
    seen: Counter[str] = Counter()
    for callback in callbacks:
        if not (hasattr(callback, "get_state") and hasattr(callback, "set_state")):
            continue
        key = f"{type(callback).__name__} {getattr(callback, 'state_key', '')}".rstrip()
        seen[key] += 1
        found[key if seen[key] == 1 else f"{key} {seen[key]}"] = callback
    return found


def restore_callbacks(callbacks: Sequence[Any], state: RunState | None) -> None:
    """Give callbacks the states that a checkpoint keeps for them.

    Args:
        callbacks: Any; those without a state are left alone.
        state: Of the restored checkpoint; None where a training begins.
    """
    if state is None:
        return
    for key, callback in stateful(callbacks).items():
        if key in state.callbacks:
            callback.set_state(state.callbacks[key])


class GracefulStop(keras.callbacks.Callback):
    """End training cleanly after the current step: on Ctrl-C, on SIGTERM (how clusters take a job
    back), on SIGHUP (a closed terminal; not under `nohup`), and before the time is up. A second
    Ctrl-C stops immediately.

    The time must suffice for what is still to come: one more step, whatever has been seen to
    happen between two steps, such as a checkpoint, and a twentieth of the limit, a minute at most,
    for what ends a run. So put this before the callbacks that save, and after those that may stop
    the training.

    Where several processes train together, they end after the same step, whichever of them was
    interrupted: about once a second, and after every epoch, they ask each other.

    Args:
        seconds: Time limit, counted from when this object is made, or None.

    Attributes:
        reason: Why training was ended, or None.
    """

    def __init__(self, seconds: float | None = None) -> None:
        super().__init__()
        self.deadline = None if seconds is None else time.monotonic() + seconds
        self.reserve = min(LAST_SHARE * (seconds or 0.0), LAST_SECONDS)
        self.reason: str | None = None
        self.interrupted = False  # by a Ctrl-C of this process's own
        self.handlers: dict[int, Any] = {}
        self.steps: deque[float] = deque(maxlen=RECENT_STEPS)  # seconds
        self.longest_pause = 0.0  # seconds between two steps
        self.began = 0.0  # of the latest step
        self.ended: float | None = None  # of the step before it, in the same training
        self.until_asked = 0  # steps
        self.asked = (0.0, 0)  # when the other processes were last asked, and steps since then

    def on_train_begin(self, logs: Logs | None = None) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, *HANGUP):
                if number not in HANGUP or signal.getsignal(number) != signal.SIG_IGN:
                    self.handlers[number] = signal.signal(number, self._on_signal)
        self.ended = None
        self.until_asked, self.asked = 0, (time.monotonic(), 0)

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        self.began = time.monotonic()
        if self.ended is not None:
            self.longest_pause = max(self.longest_pause, self.began - self.ended)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self.ended = time.monotonic()
        self.steps.append(self.ended - self.began)
        if self.deadline is not None and not self.reason:
            margin = max(self.steps) + self.longest_pause + self.reserve
            if self._several:
                margin += AGREE_EVERY
            if self.ended + margin > self.deadline:
                self.reason = "the time limit is reached"
        if self._several:
            self._ask_the_others()
        elif self.reason:
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self._several:  # the first may have run out of patience
            stops = distribution.gather(bool(self.model.stop_training))
            self.model.stop_training = any(stops)

    @property
    def _several(self) -> bool:
        return distribution.member().count > 1

    def _ask_the_others(self) -> None:
        """End training if one of the processes wants to; all of them ask after the same steps."""
        since, steps = self.asked
        self.until_asked, self.asked = self.until_asked - 1, (since, steps + 1)
        if self.until_asked > 0:
            return
        now = time.monotonic()
        answers = distribution.gather([self.reason, (now - since) / (steps + 1)])
        self.asked = (now, 0)
        self.until_asked = max(1, int(AGREE_EVERY / max(seconds for _, seconds in answers)))
        reasons = [reason for reason, _ in answers if reason]
        if reasons:
            self.reason = self.reason or reasons[0]
            self.model.stop_training = True

    def on_train_end(self, logs: Logs | None = None) -> None:
        self.release()

    def release(self) -> None:
        """Restore the signal handlers; call it also when training ends with an exception."""
        for number, handler in self.handlers.items():
            signal.signal(number, handler)
        self.handlers = {}

    def _on_signal(self, number: int, frame: Any) -> None:
        if number in HANGUP:
            _leave_terminal()
        if number == signal.SIGINT:
            if self.interrupted:
                raise KeyboardInterrupt
            self.interrupted = True
        if self.reason:  # shells and schedulers send several; other processes were told before
            return
        self.reason = f"{signal.Signals(number).name} received"
        tqdm.write(f"{self.reason}: saving a checkpoint (press Ctrl-C again to stop immediately)")


def _leave_terminal(streams: Sequence[int] = (1, 2)) -> None:
    """Send what is still printed nowhere: writing to a terminal that is closed is an error."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in streams:
        with contextlib.suppress(OSError):
            if stat.S_ISCHR(os.fstat(stream).st_mode):
                os.dup2(nowhere, stream)
    os.close(nowhere)


class NanGuard(keras.callbacks.Callback):
    """End training when a loss is not finite, before a checkpoint is overwritten."""

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if self.model.position % CHECK_EVERY == 0:
            self._check()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self._check()

    def _check(self) -> None:
        self.model.sync()
        if self.model.broken:
            self.model.stop_training = True


class CollapseAlarm(keras.callbacks.Callback):
    """Warn when a generator draws one face for all seeds, or its discriminator is never wrong.

    The mean distance between pairs of samples, divided by that between pairs of photos, goes into
    the epoch's log as `diversity` (1: as different as photos).

    Args:
        photos: uint8 `(n, height, width, 3)`.
        every: Epochs between two checks; the last epoch is always checked.
        warn: Called with the text of a warning.

    Attributes:
        alarms: The warnings so far.
    """

    only_in_first = True

    def __init__(
        self, photos: np.ndarray, every: int, warn: Callable[[str], None] = tqdm.write
    ) -> None:
        super().__init__()
        self.real_distance = pairwise_distance(photos)
        self.every, self.warn = every, warn
        self.alarms: list[str] = []

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        due = is_due(epoch, self.every, self.params["epochs"])
        if logs is None or not due or not self.model.epoch_is_complete:
            return
        distance = pairwise_distance(self.model.sample(SEEDS_COMPARED))
        diversity = distance / max(self.real_distance, 1e-9)
        logs["diversity"] = round(diversity, 4)
        if self.model.images_seen < GRACE:
            return
        accuracies = [logs.get("real_accuracy", 0.0), logs.get("fake_accuracy", 0.0)]
        if diversity < COLLAPSE_RATIO:
            self._warn(
                f"collapse? samples differ only {diversity:.2f} times as much as photos do; "
                "try augment, a lower learning_rate, or an earlier checkpoint"
            )
        elif min(accuracies) > HOPELESS_ACCURACY and not self.model.is_warming_up:
            options = self.model.get_config()
            remedies = [n for n in ("r1_gamma", "label_smoothing", "augment") if n in options]
            self._warn(
                "the discriminator is never wrong, so the generator learns little; "
                f"try {' or '.join(remedies)}"
            )

    def _warn(self, message: str) -> None:
        self.alarms.append(message)
        self.warn(f"warning: {message}")


def pairwise_distance(images: np.ndarray) -> float:
    """Mean root-mean-square difference between pairs of images, in grey levels of [0, 255].

    Args:
        images: uint8 `(n, height, width, 3)`; NaN for a single one.
    """
    if len(images) < 2:
        return float("nan")
    flat = images.reshape(len(images), -1)
    products = np.zeros((len(flat), len(flat)))
    for start in range(0, flat.shape[1], VALUES_AT_A_TIME):  # of 512 photos, a part at a time
        part = flat[:, start : start + VALUES_AT_A_TIME].astype("float64")
        products += part @ part.T
    norms = np.diag(products)
    squared = norms[:, None] + norms[None, :] - 2 * products
    upper = squared[np.triu_indices(len(flat), 1)]
    return float(np.sqrt(np.clip(upper, 0, None) / flat.shape[1]).mean())
