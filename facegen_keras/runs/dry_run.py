"""The plan of a training: its configuration, its sizes, and the time it would take."""

import time

import keras
import numpy as np

from facegen_keras.backend.types import Logs
from facegen_keras.data import FaceBatches
from facegen_keras.resolution import SMALLEST_TRAINED, check_resolution
from facegen_keras.runs.build import build, load_photos
from facegen_keras.runs.config import TrainConfig

STEPS_TIMED = 2  # after those that also compile


def dry_run(config: TrainConfig) -> str:
    """Describe a training without running it: the configuration as YAML, and in comments the sizes
    of the networks and the time of an epoch. Writes nothing but the data cache.

    Raises:
        UserError: The configuration or the data cannot be used.
    """
    check_resolution(config.resolution, SMALLEST_TRAINED)
    config = config.resolved()
    faces, _ = load_photos(config)
    model = build(config)
    batches = FaceBatches(faces, config.batch_size, seed=config.seed)
    clock = _Clock()
    most_steps = len(model.phases) + STEPS_TIMED  # an epoch may be a single one
    model.fit(faces, epochs=most_steps, batch_size=config.batch_size, callbacks=[clock], verbose=0)
    seconds = clock.seconds_per_step * len(batches)
    sizes = [f"  {name}: {n.count_params():,}" for name, n in model.networks().items()]
    found = [
        "parameters:",
        *sizes,
        f"images: {len(faces)} ({faces.report})",
        f"steps per epoch: {len(batches)}",
        f"time per epoch: {_duration(seconds)} "
        f"({config.batch_size / clock.seconds_per_step:.1f} images per second)",
        f"time for {config.epochs} epochs: {_duration(seconds * config.epochs)}",
    ]
    return config.record() + "\n".join(f"# {line}" for line in found)


class _Clock(keras.callbacks.Callback):
    """Seconds per step, without the first step of each phase, which also compiles it."""

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.compiled: set[str] = set()
        self.seconds: list[float] = []
        self.ended = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self.model.sync()
        phase = self.model.phase_of(self.model.steps - 1)  # waits for the step to be done
        before, self.ended = self.ended, time.perf_counter()
        if phase in self.compiled:
            self.seconds.append(self.ended - before)
        self.compiled.add(phase)
        if len(self.seconds) == STEPS_TIMED:
            self.model.stop_training = True

    @property
    def seconds_per_step(self) -> float:
        return float(np.mean(self.seconds))


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    if seconds < 7200:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h"
