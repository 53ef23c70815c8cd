"""Checkpoints: everything a training needs to go on exactly where it was.

Another thing than the exported `.h5`: weights of all networks, the states of all optimizers,
averages, counters, seeds of random streams, the running means of the current epoch, the position
in the order of the data, and what the callbacks remember. One HDF5 file per checkpoint, written to
a temporary name, flushed to the disk, then renamed: a power cut leaves the previous one.
"""

import contextlib
import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
from keras import ops

from facegen_keras.engine.trainer import Trainer
from facegen_keras.errors import UserError
from facegen_keras.files.atomic import replacing

KEEP = 2  # the last one, and one in case that one is damaged
PATTERN = "checkpoint-*.h5"
LEFTOVERS = ".checkpoint-*.part.h5"  # of a process that was killed while it wrote
# What h5py and JSON raise over a damaged file, depending on where the damage is.
DAMAGE = (
    OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, MemoryError,
)  # fmt: skip


def save(model: Trainer, folder: str | Path, epoch: int, position: int, **extra: Any) -> Path:
    """Write `checkpoint-<step>.h5` and delete all but the last two.

    Args:
        model: A compiled model.
        folder: Where to; made if it is missing.
        epoch: Finished epochs.
        position: Finished batches of the epoch that is under way.
        **extra: JSON values to keep beside the weights, such as the states of callbacks.

    Raises:
        UserError: The disk is full or cannot be written; the previous checkpoint is untouched.
    """
    folder = Path(folder)
    model.sync()
    state = {
        "family": model.family,
        "epoch": epoch,
        "position": position,
        "batch_size": model.batch_size,
        "step": model.steps,
        "images_seen": model.images_seen,
        "data_fingerprint": model.data_fingerprint,
        "backend": keras.backend.backend(),
        **extra,
    }
    path = folder / f"checkpoint-{model.steps:09d}.h5"
    advice = "the checkpoint before it is kept; free some space, then --resume"
    with replacing(path, advice) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["state"] = json.dumps(state)
        checksum = zlib.crc32(file.attrs["state"].encode())
        for name, variable in sorted(_variables(model).items()):
            value = ops.convert_to_numpy(variable.value)
            file[name] = value
            checksum = _crc32(name, value, checksum)
        file.attrs["crc32"] = checksum
    for old in (*find(folder)[:-KEEP], *folder.glob(LEFTOVERS)):
        old.unlink(missing_ok=True)
    return path


def find(folder: str | Path) -> list[Path]:
    """The finished checkpoints in a folder, oldest first."""
    return sorted(Path(folder).glob(PATTERN))


def restore(model: Trainer, folder: str | Path) -> dict[str, Any]:
    """Bring a compiled model to its latest readable checkpoint; `fit` then goes on from there.

    Args:
        model: Of the same family and configuration, compiled.
        folder: Holds `checkpoint-<step>.h5`; a damaged one is passed over for the one before.

    Returns:
        The state that was saved beside the weights: `epoch`, `position`, `step`, `batch_size`,
        `data_fingerprint`, and what `save` was given as `extra`.

    Raises:
        UserError: There is no checkpoint that can be read, or it belongs to another model.
    """
    damaged = []
    for path in reversed(find(folder)):
        try:
            state, values = _read(path)
        except DAMAGE as error:
            damaged.append(f"{path.name}: {error}")
            continue
        _assign(model, values, path)
        model.start_epoch, model.start_position = state["epoch"], state["position"]
        model.batch_size = state["batch_size"]
        model.data_fingerprint = state["data_fingerprint"]
        model.keep_metrics_in_first_epoch(state["position"] > 0)
        return state
    detail = f" ({'; '.join(damaged)})" if damaged else ""
    raise UserError(f"{folder}: no checkpoint to go on from{detail}; start the run anew")


def all_trained(model: Trainer, epochs: int) -> bool:
    """Whether a model, as it was restored, has so many epochs behind it.

    Raises:
        UserError: It has, but stands in the middle of a later one: not an end.
    """
    if model.start_epoch < epochs:
        return False
    if model.start_position:
        under_way = model.start_epoch + 1
        raise UserError(
            f"epochs {epochs}: the checkpoint is in the middle of epoch {under_way}; "
            f"give {under_way} or more"
        )
    return True


def read_state(folder: str | Path) -> dict[str, Any] | None:
    """The state beside the weights of the latest readable checkpoint, or None."""
    for path in reversed(find(folder)):
        with contextlib.suppress(*DAMAGE), h5py.File(path, "r") as file:
            return json.loads(file.attrs["state"])
    return None


def _variables(model: Trainer) -> dict[str, keras.Variable]:
    """Every variable under a name that two models of one configuration share.

    Keras's own paths are not unique (two seed generators, two optimizers of one class), so the
    group and the position in it come first.
    """
    groups: Mapping[str, list[keras.Variable]] = {
        "model": model.variables,
        "optimizer": model.optimizer.variables,
        "metric": model.metrics_variables,
    }
    metrics = {id(v) for v in groups["metric"]}
    return {
        f"{group}/{k:04d}": variable
        for group, variables in groups.items()
        for k, variable in enumerate(
            v for v in variables if group == "metric" or id(v) not in metrics
        )
    }


def _read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    with h5py.File(path, "r") as file:
        state, expected = file.attrs["state"], file.attrs.get("crc32")
        values = {
            f"{group}/{name}": file[group][name][()] for group in file for name in file[group]
        }
    checksum = zlib.crc32(state.encode())
    for name, value in sorted(values.items()):
        checksum = _crc32(name, value, checksum)
    if expected not in (None, checksum):  # None: checkpoints of earlier versions have none
        raise ValueError("its content is not what was written")
    return json.loads(state), values


def _crc32(name: str, value: np.ndarray, before: int) -> int:
    """Go on with the checksum of a checkpoint: HDF5 itself notices only some damage."""
    head = f"{name} {value.dtype.str} {value.shape}".encode()
    return zlib.crc32(value.tobytes(), zlib.crc32(head, before))


def _assign(model: Trainer, values: dict[str, np.ndarray], path: Path) -> None:
    variables = _variables(model)
    if variables.keys() != values.keys():
        differences = [f"{len(values)} variables; this {model.family} has {len(variables)}"]
    else:
        differences = [
            f"{variable.path} is {values[name].shape} there, {tuple(variable.shape)} here"
            for name, variable in variables.items()
            if tuple(variable.shape) != values[name].shape
        ]
    if differences:
        raise UserError(
            f"{path}: written by a model of another shape ({differences[0]}); resume with the "
            "configuration it was trained with"
        )
    for name, variable in variables.items():
        variable.assign(values[name])
