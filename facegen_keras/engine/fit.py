"""`fit`: from faces and a compiled model to Keras's loop over the epochs, resumed or not.

`FaceModel.fit` documents the arguments; here is what happens before and after Keras's own `fit`.
"""

import contextlib
import os
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from facegen_keras.backend.types import Logs
from facegen_keras.data.batches import FaceBatches, ShareOfBatches
from facegen_keras.data.faces import Faces, load_faces
from facegen_keras.engine import distribution, resume
from facegen_keras.engine.callbacks import Progress
from facegen_keras.engine.checkpoint import all_trained
from facegen_keras.engine.guards import Autosave, GracefulStop, NanGuard, restore_callbacks
from facegen_keras.engine.trainer import Trainer
from facegen_keras.errors import UserError, check_path, check_whole, is_out_of_memory

WIDTHS = ("base_channels", "channel_base", "channel_max")  # options that the memory depends on
SAVE_MINUTES = 10  # between two checkpoints within an epoch: the most that a lost session costs


def fit(
    model: Trainer,
    faces: Any,
    epochs: int,
    batch_size: int,
    callbacks: Sequence[keras.callbacks.Callback] | None,
    verbose: str | int,
    checkpoints: str | os.PathLike | None,
    **kwargs: Any,
) -> keras.callbacks.History:
    """`FaceModel.fit`, whose arguments these are.

    Raises:
        UserError: As documented there.
    """
    _check_call(model, kwargs)
    check_whole("epochs", epochs, least=0)
    check_whole("batch_size", batch_size)
    if checkpoints is not None:
        check_path("checkpoints", checkpoints)
    if not isinstance(callbacks or [], Sequence):
        raise UserError(f"callbacks {callbacks!r}: expected a list of Keras callbacks")
    callbacks = list(callbacks or [])
    shown = bool(verbose) and distribution.is_first()
    if isinstance(faces, keras.utils.PyDataset):
        model.photos, data = None, {"data_fingerprint": None, "mirror": None}
    else:
        if "steps_per_epoch" in kwargs:
            raise UserError(
                "steps_per_epoch: an epoch is one pass over the faces, which a resumed training "
                "counts on; leave it out, or load fewer faces with limit"
            )
        faces = model.photos = _faces_for(model, faces, progress=shown)
        data = {"data_fingerprint": faces.fingerprint, "mirror": faces.mirror}
    if checkpoints is not None:
        advice = f"give the same as before, or another folder than {checkpoints}"
        state = resume.restore(model, checkpoints, batch_size, **data, advice=advice)
        restore_callbacks(callbacks, state)
        # The interrupt ends training before the checkpoint is written.
        callbacks += [GracefulStop(), Autosave(checkpoints, 1, SAVE_MINUTES, callbacks)]
        if all_trained(model, epochs):
            print(f"nothing to do: all {epochs} epochs are trained")
            model.end()
            return keras.callbacks.History()
    if distribution.member().count > 1:
        callbacks = _of_this_process(callbacks)
    batches, steps = _batches(model, faces, batch_size, kwargs, callbacks)
    model.begin(batch_size, steps, **data)
    guarded = any(isinstance(c, NanGuard) for c in callbacks)
    if not guarded:
        callbacks.insert(0, NanGuard())
    if shown and not any(isinstance(c, Progress) for c in callbacks):
        callbacks.append(Progress())
    with _signals_given_back(callbacks), _memory_errors(model, batch_size):
        history = keras.Model.fit(
            model,
            batches,
            epochs=epochs,
            initial_epoch=model.start.epoch,
            callbacks=callbacks,
            verbose=0,
            shuffle=False,
            **kwargs,
        )
    model.end()
    if checkpoints is not None or not guarded:
        _raise_if_broken(model, checkpoints)
    if checkpoints is not None:
        _report_interrupt(checkpoints, callbacks)
    return history


def _of_this_process(
    callbacks: Sequence[keras.callbacks.Callback],
) -> list[keras.callbacks.Callback]:
    """What this process does of several: only the first writes, measures and draws."""
    kept = [
        callback
        for callback in callbacks
        if distribution.is_first() or not getattr(callback, "only_in_first", False)
    ]
    if not any(isinstance(callback, GracefulStop) for callback in kept):
        kept.append(GracefulStop())
    return kept


def _check_call(model: Trainer, kwargs: Mapping[str, Any]) -> None:
    if not model.compiled:
        raise UserError("call compile() before fit(): model.compile() takes the paper's values")
    if "initial_epoch" in kwargs:
        raise UserError("initial_epoch: the restored checkpoint says where to begin; leave it out")
    if "validation_data" in kwargs or "validation_split" in kwargs:
        raise UserError(
            "fit measures no validation data: hold photos out with faces.split(0.1), and measure "
            "them with VAE.validate or facegen_keras.metrics"
        )


def _faces_for(model: Trainer, faces: Any, progress: bool) -> Faces:
    """The faces that `fit` was given, or those of an array, in the model's size."""
    if isinstance(faces, np.ndarray):  # in its own size: another than the model's is refused below
        side = faces.shape[1] if faces.ndim == 4 else model.resolution
        faces = load_faces(faces, resolution=side, progress=progress)
    if not isinstance(faces, Faces):
        raise UserError(
            f"fit: faces is a {type(faces).__name__}; expected what load_faces returns, uint8 "
            "images in a NumPy array, or a keras.utils.PyDataset"
        )
    if faces.resolution != model.resolution:
        size, wanted = faces.resolution, model.resolution
        raise UserError(
            f"the images are {size}x{size}, the model is {wanted}x{wanted}: "
            f"load them with resolution={wanted}"
        )
    return faces


def _batches(
    model: Trainer,
    faces: Any,
    batch_size: int,
    kwargs: Mapping[str, Any],
    callbacks: list[keras.callbacks.Callback],
) -> tuple[Any, int]:
    """What Keras iterates over, and the number of batches in an epoch."""
    if isinstance(faces, keras.utils.PyDataset):
        steps = kwargs.get("steps_per_epoch") or len(faces)
        _check_dataset(faces, steps, batch_size, model.resolution)
        share = distribution.share_of(batch_size)
        return (ShareOfBatches(faces, share) if distribution.member().count > 1 else faces), steps
    start = {"start_epoch": model.start.epoch, "skip_steps": model.start.position}
    share = distribution.share_of(batch_size)
    batches = FaceBatches(faces, batch_size, seed=model.seed, share=share, **start)
    dataset = batches.tensorflow_dataset()
    if dataset is not None:
        callbacks.append(_SetEpoch(batches))
        return dataset, len(batches)
    return batches, len(batches)


def _check_dataset(
    dataset: keras.utils.PyDataset, steps: int, batch_size: int, resolution: int
) -> None:
    """Refuse batches of another shape than the one that the training step is compiled for.

    Only the first and the last are read: they are the ones that differ in practice.
    """
    expected = (batch_size, resolution, resolution, 3)
    for name, index in (("first", 0), ("last", steps - 1)):
        batch = dataset[index]
        images = batch[0] if isinstance(batch, tuple | list) else batch
        shape = tuple(np.shape(images))
        if shape != expected:
            raise UserError(
                f"batch_size {batch_size}: the {name} batch of the PyDataset has the shape "
                f"{shape}, expected {expected}; every batch needs batch_size images of "
                "the model's size, so drop a smaller last one"
            )


@contextlib.contextmanager
def _memory_errors(model: Trainer, batch_size: int) -> Any:
    """Say in one line what to lower where the memory does not suffice."""
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error) or isinstance(error, UserError):
            raise
        options = model.get_config()
        lower = [name for name in ("resolution", *WIDTHS) if name in options]
        raised = ", or raise accumulate" if "accumulate" in options else ""
        raise UserError(
            f"out of memory at batch_size {batch_size}: lower batch_size, or "
            f"{' or '.join(lower)}{raised}"
        ) from error


@contextlib.contextmanager
def _signals_given_back(callbacks: Sequence[keras.callbacks.Callback]) -> Any:
    """Restore the signal handlers at the end, also where training ends with an exception."""
    try:
        yield
    finally:
        for callback in callbacks:
            if isinstance(callback, GracefulStop):
                callback.release()


def _raise_if_broken(model: Trainer, folder: str | os.PathLike | None) -> None:
    """Refuse to return as if all were well after a loss stopped being finite."""
    if model.broken:
        step, term = model.broken
        kept = f"; the checkpoints in {folder} are from before" if folder else ""
        raise UserError(
            f"{term} is not a number at step {step}{kept}: make the model again with a lower "
            f"learning_rate{' and another folder' if folder else ''}"
        )


def _report_interrupt(
    folder: str | os.PathLike, callbacks: Sequence[keras.callbacks.Callback]
) -> None:
    reasons = [c.reason for c in callbacks if isinstance(c, GracefulStop) and c.reason]
    if reasons:
        print(f"stopped: {reasons[0]}. Call fit again to resume from {folder}")


class _SetEpoch(keras.callbacks.Callback):
    """Sets `batches.epoch` before each epoch: Keras cannot do it for a `tf.data.Dataset`."""

    def __init__(self, batches: FaceBatches) -> None:
        super().__init__()
        self.batches = batches

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self.batches.epoch = epoch
