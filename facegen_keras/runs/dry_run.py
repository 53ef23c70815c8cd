"""The plan of a training: its configuration, its sizes, and the time it would take."""

import dataclasses
import time
from typing import Any

import keras
import numpy as np

from facegen_keras import backend
from facegen_keras.backend.types import Logs
from facegen_keras.data import FaceBatches, Faces
from facegen_keras.engine import distribution
from facegen_keras.resolution import SMALLEST_TRAINED, check_resolution
from facegen_keras.runs.build import build, load_photos_everywhere
from facegen_keras.runs.config import TrainConfig
from facegen_keras.runs.forecast import (
    GIB,
    Forecast,
    duration,
    forecast,
    machine_speed,
    memory_advice,
    smaller,
)
from facegen_keras.runs.train import warm_up_only

STEPS_TIMED = 2  # after those that also compile
MOST_STEPS = 5  # with those: a StyleGAN2 has three phases
PATIENCE = 10.0  # seconds that the steps may take


def dry_run(config: TrainConfig) -> str:
    """Describe a training without running it: the configuration as YAML, and in comments the sizes
    of the networks and the time of an epoch. Writes nothing but the data cache.

    Where a few steps would take long on this processor, or more memory than there is, nothing is
    built: time and memory are a forecast then.

    Raises:
        UserError: The configuration or the data cannot be used.
    """
    check_resolution(config.resolution, SMALLEST_TRAINED)
    distribution.distribute(config.devices, config.cluster)
    config = config.resolved()
    faces, _ = load_photos_everywhere(config)
    if distribution.device_count() == 1 and not backend.has_accelerator():
        speed = machine_speed()
        expected = forecast(config, len(faces), speed)
        if not expected.fits or _seconds_to_time(config, expected) > PATIENCE:
            return _described(config, _forecast_lines(config, faces, expected, speed))
    all_learn: dict[str, Any] = {"warm_up_images": 0} if config.warm_up_images else {}
    model = build(dataclasses.replace(config, **all_learn))
    if config.progressive:
        model.skip_growing()
    batches = FaceBatches(faces, config.batch_size, seed=config.seed)
    clock = _Clock()
    most_steps = len(model.phases) + STEPS_TIMED  # an epoch may be a single one
    model.fit(faces, epochs=most_steps, batch_size=config.batch_size, callbacks=[clock], verbose=0)
    seconds = clock.seconds_per_step * len(batches)
    sizes = [f"  {name}: {n.count_params():,}" for name, n in model.networks().items()]
    found = [
        "parameters:",
        *sizes,
        *_data_lines(config, faces),
        f"time per epoch: {_duration(seconds)} "
        f"({config.batch_size / clock.seconds_per_step:.1f} images per second)",
        f"time for {config.epochs} epochs: {_duration(seconds * config.epochs)}",
    ]
    if config.progressive:
        found.append("measured at the full resolution; while growing it is faster")
    if config.warm_up_images:
        found.append("measured with all networks learning; before the generator does, it is faster")
    if note := warm_up_only(config, len(faces)):
        found.append(note)
    devices, processes = distribution.device_count(), distribution.member().count
    if devices > 1:
        from facegen_keras.engine.step_cost import step_cost  # needs JAX

        memory = max(step_cost(model, phase).memory for phase in model.phases)
        found += [
            f"devices: {devices} in {processes} process{'es' if processes > 1 else ''}, "
            f"{config.batch_size // devices} images each",
            f"memory per device: {memory / 2**20:.0f} MiB in the largest step, as XLA plans it",
        ]
    return _described(config, found)


def _described(config: TrainConfig, lines: list[str]) -> str:
    return config.record() + "\n".join(f"# {line}" for line in lines)


def _data_lines(config: TrainConfig, faces: Faces) -> list[str]:
    return [
        f"images: {len(faces)} ({faces.report})",
        f"steps per epoch: {len(faces) // config.batch_size}",
    ]


def _seconds_to_time(config: TrainConfig, expected: Forecast) -> float:
    """What the steps would take that `dry_run` otherwise times."""
    return MOST_STEPS * config.batch_size / expected.images_per_second


def _forecast_lines(
    config: TrainConfig, faces: Faces, expected: Forecast, speed: float
) -> list[str]:
    epoch = expected.seconds / config.epochs
    lines = [
        f"parameters: about {expected.weights:,} in all networks",
        *_data_lines(config, faces),
        f"time per epoch: about {duration(epoch)} "
        f"({expected.images_per_second:.2g} images per second)",
        f"time for {config.epochs} epochs: about {duration(expected.seconds)} on this CPU "
        "(counted, not run: good to a factor of two)",
        f"memory: about {expected.memory / GIB:.1f} GiB in the largest step",
    ]
    if config.progressive:
        lines.append("counted at the full resolution; while growing it is faster")
    if expected.free is not None and not expected.fits:
        lines.append(f"too much memory: {memory_advice(config, expected.free)}")
    if other := smaller(config, len(faces), speed):
        lines.append(other)
    return lines


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
