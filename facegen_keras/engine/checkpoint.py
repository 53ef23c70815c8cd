"""Checkpoints: everything that a training needs to continue exactly where it was.

Not to be confused with an exported `.h5`. A checkpoint holds every variable (the weights of all
networks, their averages, the states of all optimizers, counters, the seeds of random streams, the
running means of the current epoch) and the training's `RunState`. It is one HDF5 file, written
under a temporary name, flushed to the disk and renamed: a power cut leaves the previous one.
"""

import contextlib
import io
import json
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import h5py
import keras
import numpy as np
from keras import ops

from facegen_keras.engine import distribution
from facegen_keras.engine.run_state import FORMAT, RunState
from facegen_keras.engine.trainer import Trainer
from facegen_keras.errors import UserError, reason_of
from facegen_keras.files.atomic import remove_leftovers, replacing
from facegen_keras.files.h5_file import DAMAGE, append_crc32, check_crc32, check_sizes
from facegen_keras.files.limits import unpacked_limit

KEEP = 2  # the last one, and the one before in case the last is damaged
PATTERN = "checkpoint-*.h5"


def save(
    model: Trainer,
    folder: str | os.PathLike,
    epoch: int,
    position: int,
    callbacks: Mapping[str, Any] | None = None,
) -> Path:
    """Write `checkpoint-<step>.h5` and delete all but the last two.

    Args:
        model: A compiled model.
        folder: Where to; made if it is missing.
        epoch: Finished epochs.
        position: Finished batches of the epoch under way.
        callbacks: States of callbacks, as JSON can hold them, by key.

    Raises:
        UserError: The disk is full or cannot be written; the previous checkpoint is untouched.
    """
    folder = Path(folder)
    model.sync()
    state = model.run_state(epoch, position, callbacks)
    path = folder / f"checkpoint-{state.step:09d}.h5"
    advice = "the checkpoint before it is kept; free some space, then resume"
    with replacing(path, advice) as temporary:
        with h5py.File(temporary, "w") as file:
            file.attrs["state"] = state.to_json()
            checksum = zlib.crc32(file.attrs["state"].encode())
            for name, variable in sorted(_variables(model).items()):
                value = ops.convert_to_numpy(variable.value)
                file[name] = value
                checksum = _crc32(name, value, checksum)
            file.attrs["crc32"] = checksum
        append_crc32(temporary)
    for old in find(folder)[:-KEEP]:
        old.unlink(missing_ok=True)
    remove_leftovers(folder, Path(PATTERN).stem)
    return path


def find(folder: str | os.PathLike) -> list[Path]:
    """The finished checkpoints in a folder, oldest first."""
    return sorted(Path(folder).glob(PATTERN))


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was read and found intact.

    Attributes:
        path: Its file.
        state: Its record.
        values: The value of every variable, by the names of `_variables`.
    """

    path: Path
    state: RunState
    values: Mapping[str, np.ndarray]


def latest(folder: str | os.PathLike) -> Checkpoint | None:
    """The latest checkpoint in a folder, or None where there is none.

    Of several processes the first reads, and sends the others what it has read: they need no
    folder, and never resume from another step.

    Args:
        folder: Holds `checkpoint-<step>.h5`; a damaged one is passed over for the one before, and
            this is printed.

    Raises:
        UserError: None of them can be read, or the latest was written by another version of this
            package.
    """
    if distribution.member().count == 1:
        return _latest(folder)

    def path_of_latest() -> str | None:
        found = _latest(folder)
        return None if found is None else str(found.path)

    path = distribution.in_first(path_of_latest)
    if path is None:
        return None
    content = Path(path).read_bytes() if distribution.is_first() else b""
    record, values = _read(io.BytesIO(distribution.broadcast(content)))
    return Checkpoint(Path(path), _state_of(record, Path(path)), values)


def _latest(folder: str | os.PathLike) -> Checkpoint | None:
    """`latest`, in this process."""
    damaged = []
    for path in reversed(find(folder)):
        try:
            record, values = _read(path)
        except DAMAGE as error:
            damaged.append(f"{path.name}: {reason_of(error)}")
            continue
        state = _state_of(record, path)
        if damaged:
            print(f"damaged, taking {path.name}, the one before: {'; '.join(damaged)}")
        return Checkpoint(path, state, values)
    if damaged:
        raise UserError(
            f"{folder}: no checkpoint to resume from ({'; '.join(damaged)}); start again in a new "
            "folder"
        )
    return None


def restore(model: Trainer, folder: str | os.PathLike) -> RunState:
    """Bring a compiled model to its latest checkpoint; `fit` then continues from there.

    Args:
        model: Of the same family and configuration, compiled.
        folder: As for `latest`.

    Raises:
        UserError: There is no checkpoint that can be read, or it belongs to another model or
            another version of this package.
    """
    found = latest(folder)
    if found is None:
        raise UserError(f"{folder}: no checkpoint to resume from; start again in a new folder")
    apply(model, found)
    return found.state


def apply(model: Trainer, found: Checkpoint) -> None:
    """Give a compiled model the values and the position of a checkpoint.

    Raises:
        UserError: It belongs to a model of another shape.
    """
    variables = _variables(model)
    if variables.keys() != found.values.keys():
        differences = [f"{len(found.values)} variables; this {model.family} has {len(variables)}"]
    else:
        differences = [
            f"{variable.path} is {found.values[name].shape} there, {tuple(variable.shape)} here"
            for name, variable in variables.items()
            if tuple(variable.shape) != found.values[name].shape
        ]
    if differences:
        raise UserError(
            f"{found.path}: written by a model of another shape ({differences[0]}); resume with "
            "the configuration it was trained with"
        )
    for name, variable in variables.items():
        variable.assign(found.values[name])
    model.resume(found.state)


def all_trained(model: Trainer, epochs: int) -> bool:
    """Whether a restored model has finished this many epochs.

    Raises:
        UserError: It has, but its checkpoint is in the middle of a later epoch.
    """
    if model.start.epoch < epochs:
        return False
    if model.start.position:
        under_way = model.start.epoch + 1
        raise UserError(
            f"epochs {epochs}: the checkpoint is in the middle of epoch {under_way}; "
            f"give {under_way} or more"
        )
    return True


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


def _read(path: Path | BinaryIO) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The record and the values of the variables, verified by their checksums."""
    with open(path, "rb") if isinstance(path, Path) else contextlib.nullcontext(path) as file:
        check_crc32(file)
    with h5py.File(path, "r") as file:
        check_sizes(file, unpacked_limit(file.id.get_filesize()))
        record, expected = file.attrs["state"], file.attrs["crc32"]
        values = {
            f"{group}/{name}": file[group][name][()] for group in file for name in file[group]
        }
    checksum = zlib.crc32(record.encode())
    for name, value in sorted(values.items()):
        checksum = _crc32(name, value, checksum)
    if expected != checksum:
        raise ValueError("its content is not what was written")
    return json.loads(record), values


def _state_of(record: Mapping[str, Any], path: Path) -> RunState:
    found = record.get("format")
    if found != FORMAT:
        raise UserError(
            f"{path}: a checkpoint of format {found or 0}, written by another version of this "
            f"package, which reads format {FORMAT}; finish the training with that version, or "
            "start again in a new folder"
        )
    return RunState(**{name: value for name, value in record.items() if name != "format"})


def _crc32(name: str, value: np.ndarray, before: int) -> int:
    """Continue the checksum of a checkpoint: HDF5 itself notices only some damage."""
    head = f"{name} {value.dtype.str} {value.shape}".encode()
    return zlib.crc32(value.tobytes(), zlib.crc32(head, before))
