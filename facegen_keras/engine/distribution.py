"""Training on several devices and in several processes: the same training, in less time.

Data parallelism, as `keras.distribution` has it on JAX: every device holds all weights and computes
its share of each batch; XLA adds the sums over the devices where an operation needs all images.
`update` stays as it is written for one device, and means the whole batch: losses, batch statistics
and regularizers are those of one device, within rounding.

What a family has to do is to say `split` of the tensors that it draws itself. XLA follows the
photos, which arrive split; latents that nobody split would be generated and judged by every device.

In several processes (`cluster`) every process runs the same program. All take part in making a
model, in `fit`, and in restoring; the first alone writes files, measures and draws. What one of
them alone knows, such as a signal or an error, is told to the others by `every`, `in_first` and
`gather`: all processes have to call them in the same order.

Without `distribute` none of this does anything.
"""

import contextlib
import importlib
import json
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, TypeVar

import keras
import numpy as np

from facegen_keras import backend
from facegen_keras.backend.types import Tensor
from facegen_keras.engine.cluster import Cluster, Member, parse_cluster
from facegen_keras.errors import UserError

Result = TypeVar("Result")


@dataclass
class _State:
    """What `distribute` has set up in this process."""

    asked: tuple[int | None, str | None] = (None, None)
    me: Member = field(default_factory=Member)
    spread: Any = None  # a `keras.distribution.DataParallel`


_state = _State()


# --- setting up ---


def distribute(devices: int | None = None, cluster: str | None = None) -> None:
    """Train on several devices from here on; call it before a model is made.

    It needs the JAX backend. `batch_size` stays the number of images in a step, on all devices
    together; nothing else about a training changes.

    Args:
        devices: Of this machine, in one process: 2 or more, 1 as if nothing were said, 0 for all.
        cluster: For several processes, each on all devices that it sees: `"slurm"` in tasks that
            `srun` started, or `"HOST:PORT,N,K"` in process K (from 0) of N, where process 0 listens
            at that address.

    Raises:
        UserError: The backend is another one, there are fewer devices, the other processes do not
            come, or another distribution was set up before.
    """
    if (devices, cluster) in ((None, None), (1, None)):
        return
    if _state.spread is None:
        _check_request(devices, cluster)
        if cluster is not None:
            _join(parse_cluster(cluster))
        _state.spread = _spread_over(_chosen_devices(devices))
        _state.asked = (devices, cluster)
    elif _state.asked != (devices, cluster):
        raise UserError(
            f"{_asked(devices, cluster)}: this process is set up for {_asked(*_state.asked)} "
            "already, which cannot change; start another process"
        )
    keras.distribution.set_distribution(_state.spread)


def _check_request(devices: int | None, cluster: str | None) -> None:
    if devices is not None and devices < 0:
        raise UserError(f"devices {devices}: expected 0 for all devices of this machine, or 1, 2 …")
    if devices is not None and cluster is not None:
        raise UserError(
            f"devices {devices}, cluster {cluster}: give one of them; the processes of a cluster "
            "use all devices that they see"
        )
    if backend.NAME != "jax":
        raise UserError(
            f"{_asked(devices, cluster)}: several devices need JAX, and Keras runs on "
            f"{backend.NAME}; set KERAS_BACKEND=jax"
        )


def _asked(devices: int | None, cluster: str | None) -> str:
    return f"devices {devices}" if cluster is None else f"cluster {cluster}"


def _processes() -> ModuleType:
    """The module that needs JAX, imported when there is one."""
    return importlib.import_module("facegen_keras.backend.jax_processes")


def _chosen_devices(devices: int | None) -> list[str]:
    names = _processes().device_names()
    if devices and devices > len(names):
        raise UserError(
            f"devices {devices}: JAX sees {len(names)} ({', '.join(names[:8])}); give "
            f"{len(names)} or fewer, or 0 for all"
        )
    return names[: devices or None]


def _spread_over(names: Sequence[str]) -> Any:
    count = _processes().local_device_count()
    if _state.me.count > 1:
        counts = [each["devices"] for each in gather({"devices": count})]
        if len(set(counts)) > 1:
            raise UserError(
                f"cluster: the processes have {', '.join(map(str, counts))} devices; give all of "
                "them the same number"
            )
    # Each process reads its own share of a batch.
    return keras.distribution.DataParallel(devices=list(names), auto_shard_dataset=False)


def _join(cluster: Cluster) -> None:
    try:
        _processes().join(
            cluster.address, cluster.me.count, cluster.me.index, cluster.one_device_each
        )
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"cluster: process {cluster.me.index} of {cluster.me.count} found no way to the others "
            f"at {cluster.address} ({reason}); start all of them, and once each"
        ) from None
    _state.me = cluster.me


# --- what the rest of the package asks ---


def split(x: Tensor) -> Tensor:
    """Let each device hold, and compute with, its share of a batch.

    Args:
        x: `(batch, ...)`, drawn or cut out inside `update`.

    Returns:
        The same values; without `distribute`, `x` itself.
    """
    spread = keras.distribution.distribution()
    if spread is None:
        return x
    return keras.distribution.distribute_tensor(x, spread.get_data_layout(x.shape))


def device_count() -> int:
    """Devices, of all processes, that share a batch; also while one of them works `alone`."""
    spread = _state.spread
    return 1 if spread is None else int(np.size(spread.device_mesh.devices))


def member() -> Member:
    """This process among those that train together."""
    return _state.me


def is_first() -> bool:
    """Whether this process is the one that writes, measures and draws."""
    return _state.me.index == 0


def share_of(batch_size: int) -> slice:
    """The images of every batch that this process reads."""
    size = batch_size // _state.me.count
    return slice(_state.me.index * size, (_state.me.index + 1) * size)


def check_batch_size(batch_size: int, parts: int, why: str) -> None:
    """Refuse a batch that the devices cannot share evenly: they would all compute all of it.

    Args:
        batch_size: Images in a step.
        parts: Equal parts that a step of the family cuts the batch into.
        why: Why it does, for the message.

    Raises:
        UserError: Some device would have more images than another.
    """
    devices = device_count()
    unit = devices * parts
    if devices == 1 or batch_size % unit == 0:
        return
    because = f" ({why})" if parts > 1 else ""
    near = max(unit, batch_size // unit * unit)
    raise UserError(
        f"batch_size {batch_size}: {devices} devices need a multiple of {unit}{because}, such as "
        f"{near} or {near + unit}"
    )


@contextlib.contextmanager
def alone(model: keras.Model) -> Iterator[None]:
    """Compute with a model on one device of this process, without the others: to measure it.

    Args:
        model: Its variables keep their values, whatever the block assigns.
    """
    if keras.distribution.distribution() is None:
        yield
        return
    values = [(v, backend.on_one_device(v.value)) for v in model.variables]
    with backend.alone(), keras.StatelessScope(values):
        yield


def forget() -> None:
    """Be as before `distribute`, to try another number of devices in the same process.

    Models that were made before are of no use any more, and processes that have met stay together.
    """
    _state.asked, _state.spread = (None, None), None
    keras.distribution.set_distribution(None)


def clear_session() -> None:
    """Forget Keras's models between two trainings, and keep the devices."""
    keras.backend.clear_session()
    if _state.spread is not None:
        keras.distribution.set_distribution(_state.spread)


# --- what processes tell each other ---


def gather(value: Any) -> list[Any]:
    """A value of every process, in their order.

    Args:
        value: As JSON can hold it.
    """
    if _state.me.count == 1:
        return [value]
    return [json.loads(text) for text in _processes().gather(json.dumps(value).encode())]


def every(action: Callable[[], Result]) -> Result:
    """Run an action in every process; an error of one of them is an error of all.

    Args:
        action: Runs without the other processes.

    Raises:
        UserError: Of the first process that has one.
    """
    if _state.me.count == 1:
        return action()
    result, problem = _tried(action)
    problems = [each for each in gather(problem) if each is not None]
    if problems:
        raise UserError(problems[0])
    return result


def in_first(action: Callable[[], Result]) -> Result:
    """Run an action in the first process only; all get its result, or its error.

    Args:
        action: Returns what JSON can hold.

    Raises:
        UserError: The action's.
    """
    if _state.me.count == 1:
        return action()
    result, problem = _tried(action) if is_first() else (None, None)
    result, problem = gather((result, problem))[0]
    if problem is not None:
        raise UserError(problem)
    return result


def one_per_node(action: Callable[[], Result]) -> Result:
    """Run an action in every process, those that are not the first on their node after it.

    Raises:
        UserError: Of the first process that has one.
    """
    if _state.me.count == 1:
        return action()
    hosts = gather(socket.gethostname())
    ahead = hosts.index(hosts[_state.me.index]) == _state.me.index
    result = every(action if ahead else lambda: None)
    later = every((lambda: None) if ahead else action)
    return result if ahead else later  # type: ignore[return-value]


def check_same(what: str, value: str, advice: str) -> None:
    """Refuse processes that would train differently.

    Args:
        what: The beginning of the message, up to the value, such as "the photos have the hash".
        value: Of this process; 12 characters of it are shown.
        advice: What to do.

    Raises:
        UserError: Another process has another value.
    """
    values = gather(value)
    for index, other in enumerate(values):
        if other != values[0]:
            raise UserError(
                f"{what} {values[0][:12]} in process 0, {other[:12]} in process {index}; {advice}"
            )


def broadcast(data: bytes) -> bytes:
    """What the first process gives, in every process; others give anything."""
    return data if _state.me.count == 1 else _processes().broadcast(data)


def _tried(action: Callable[[], Result]) -> tuple[Any, str | None]:
    """The result of an action that makes its models, if any, without the other processes."""
    try:
        with backend.alone():
            return action(), None
    except UserError as error:
        return None, str(error)
