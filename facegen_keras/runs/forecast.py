"""What a training would take on this machine's processor, before anything is built.

The operations of a step are counted (`models.work`), and the speed of the machine is that of one
small convolution, timed now. That is good to a factor of two, which is enough to tell hours from
weeks. A GPU is not judged: nothing here was measured on one.
"""

import time
from dataclasses import dataclass

import keras
import numpy as np

from facegen_keras import backend
from facegen_keras.engine.memory import available_memory
from facegen_keras.errors import UserError
from facegen_keras.models.work import work_of
from facegen_keras.runs.config import TrainConfig
from facegen_keras.runs.config_files import configurations, read_config

# A step reaches about this fraction of the speed of a convolution alone: two cores that do 450
# GFLOP/s in one make 204 (VAE), 234 (DCGAN) and 260 (StyleGAN2), see `benchmarks/README.md`.
EFFICIENCY = 0.5
TIMED = (4, 32, 32, 128)  # the convolution's input; 3x3, as many channels out
REPEATS = 30  # the fastest counts: on a busy machine most of them wait
SMALLER = {"stylegan2": "stylegan2_64_small"}  # what to train instead, by family
SLOWEST = 1e9  # operations a second: a hundredth of one core, which nobody trains on
LONG = 24 * 3600.0  # seconds from which on a training is announced
GIB = 2**30


@dataclass(frozen=True)
class Forecast:
    """What a training takes.

    Attributes:
        weights: Numbers in all networks in training.
        images_per_second: Speed, on average over the regularizers.
        seconds: Of all epochs.
        memory: Bytes of the largest step, without what the backend takes for itself.
        free: Bytes there are now; None where nobody says.
    """

    weights: int
    images_per_second: float
    seconds: float
    memory: int
    free: int | None

    @property
    def fits(self) -> bool:
        """Whether a step finds its memory."""
        return self.free is None or self.memory <= self.free


def forecast(config: TrainConfig, photos: int, speed: float | None = None) -> Forecast:
    """What a training of so many photos takes here.

    Args:
        config: With a family.
        photos: Images of an epoch; what is left over from the last batch is not trained on.
        speed: Of this machine, from `machine_speed`; measured if None.
    """
    work = work_of(config.options_type.family, config.options())
    rate = EFFICIENCY * (speed or machine_speed()) / work.operations
    images = config.epochs * (photos // config.batch_size * config.batch_size)
    return Forecast(
        work.weights,
        rate,
        images / rate,
        work.memory(_at_a_time(config)),
        available_memory(),
    )


def machine_speed() -> float:
    """Floating-point operations a second in a convolution, on the active backend."""
    x = np.ones(TIMED, "float32")
    kernel = np.ones((3, 3, TIMED[-1], TIMED[-1]), "float32")
    tensors = keras.ops.convert_to_tensor(x), keras.ops.convert_to_tensor(kernel)
    seconds = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        keras.ops.convert_to_numpy(keras.ops.conv(*tensors, padding="same"))
        seconds.append(time.perf_counter() - began)
    return 2 * x.size * kernel[..., 0].size / min(seconds)


def announcement(config: TrainConfig, photos: int) -> str | None:
    """A line on a training that takes more than a day on this processor, or None.

    Args:
        config: With every option of the family filled in.
        photos: Images of an epoch.
    """
    if backend.has_accelerator() or forecast(config, photos, SLOWEST).seconds < LONG:
        return None  # the second without timing this processor, which takes a moment
    speed = machine_speed()
    seconds = forecast(config, photos, speed).seconds
    if seconds < LONG:
        return None
    text = f"note: about {duration(seconds)} on this CPU"
    return f"{text}; {other}" if (other := smaller(config, photos, speed)) else text


def smaller(config: TrainConfig, photos: int, speed: float) -> str | None:
    """The configuration for a small machine, and its time: `configs/x.yaml needs 4 hours`.

    None where there is none, or none that takes fewer operations.
    """
    name = SMALLER.get(config.options_type.family)
    path = configurations().get(name or "")
    if path is None:
        return None
    other = TrainConfig(**read_config(path))
    works = [work_of(each.options_type.family, each.options()) for each in (other, config)]
    if works[0].operations >= works[1].operations:
        return None
    seconds = forecast(other, photos, speed).seconds
    return f"configs/{name}.yaml ({other.epochs} epochs) needs about {duration(seconds)}"


def check_memory(config: TrainConfig) -> None:
    """Refuse a training whose first step would not find its memory.

    Raises:
        UserError: Says what to lower.
    """
    if backend.has_accelerator():
        return
    work, free = work_of(config.options_type.family, config.options()), available_memory()
    if free is not None and work.memory(_at_a_time(config)) > free:
        raise UserError(memory_advice(config, free))


def memory_advice(config: TrainConfig, free: int) -> str:
    """What a step needs, what there is, and what makes it fit."""
    work = work_of(config.options_type.family, config.options())
    needed, least = work.memory(_at_a_time(config)), work.memory(1)
    text = (
        f"batch_size {config.batch_size}: a step needs about {needed / GIB:.1f} GiB of memory, and "
        f"{free / GIB:.1f} GiB are free"
    )
    channels = "channel_base" if config.model == "stylegan2" else "base_channels"
    fitting = [n for n in _divisors(config.batch_size) if work.memory(n) <= free]
    if least > free or not fitting:
        return f"{text}; lower {channels} or resolution"
    parts = config.batch_size // max(fitting)
    if config.model == "stylegan2":
        return (
            f"{text}; give --accumulate {parts} (the same batch, part after part), or a smaller "
            f"batch_size or {channels}"
        )
    return f"{text}; give --batch_size {max(fitting)}, or a smaller {channels}"


def duration(seconds: float) -> str:
    """A time in words that are as exact as the forecast: `41 days`, `4 hours`."""
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}s"
    return f"{max(1, round(seconds))} seconds"


def _at_a_time(config: TrainConfig) -> int:
    """Images that a step holds at once."""
    return -(-config.batch_size // (config.accumulate or 1))


def _divisors(batch: int) -> list[int]:
    """Parts of a batch that the path length can halve again."""
    return [part for part in range(2, batch + 1, 2) if batch % part == 0]
