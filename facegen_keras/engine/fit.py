"""`fit`: from faces and a compiled model to Keras's loop over the epochs, resumed or not.

`FaceModel.fit` documents the arguments; this is what it does before and after Keras's own.
"""

import contextlib
import os
from typing import Any

import keras
import numpy as np

from facegen_keras.data.batches import FaceBatches
from facegen_keras.data.faces import Faces, load_faces
from facegen_keras.engine.callbacks import Progress
from facegen_keras.engine.checkpoint import all_trained
from facegen_keras.engine.guards import GracefulStop, NanGuard
from facegen_keras.engine.resume import go_on, refuse_broken, tell_interrupt
from facegen_keras.engine.trainer import Trainer
from facegen_keras.errors import UserError


def fit(
    model: Trainer,
    faces: Any,
    epochs: int,
    batch_size: int,
    callbacks: list[keras.callbacks.Callback] | None,
    verbose: str | int,
    checkpoints: str | os.PathLike | None,
    **kwargs: Any,
) -> keras.callbacks.History:
    """`FaceModel.fit`, whose arguments these are.

    Raises:
        UserError: As `FaceModel.fit` says.
    """
    if not model.compiled:
        raise UserError("call compile() before fit(): model.compile() takes the paper's values")
    if "initial_epoch" in kwargs:
        raise UserError("initial_epoch: what is restored says where to begin; leave it out")
    if "validation_data" in kwargs or "validation_split" in kwargs:
        raise UserError(
            "fit measures no validation data: hold photos out with faces.split(0.1), and measure "
            "them with VAE.validate or facegen_keras.metrics"
        )
    callbacks = list(callbacks or [])
    data = {}
    if not isinstance(faces, keras.utils.PyDataset):
        faces = _faces_for(model, faces, progress=bool(verbose))
        data = {"fingerprint": faces.fingerprint, "mirror": faces.mirror}
        model.data_fingerprint = faces.fingerprint
    if checkpoints is not None:
        callbacks = go_on(model, checkpoints, data, batch_size, callbacks)
        if all_trained(model, epochs):
            print(f"nothing to do: all {epochs} epochs are trained")
            return keras.callbacks.History()
    batches = faces
    if data:
        start = {"start_epoch": model.start_epoch, "skip_steps": model.start_position}
        batches = FaceBatches(faces, batch_size, seed=model.seed, **start)
        if keras.backend.backend() == "tensorflow" and "steps_per_epoch" not in kwargs:
            callbacks.append(_TellEpoch(batches))
            batches = batches.tensorflow_dataset()
    model.begin(batch_size, kwargs.get("steps_per_epoch") or len(batches))
    if model.metrics_to_restore is not None:
        callbacks.insert(0, _RestoreMetrics(model.metrics_to_restore))
        model.metrics_to_restore = None
    if verbose and not any(isinstance(c, Progress) for c in callbacks):
        callbacks.append(Progress())
    guarded = any(isinstance(c, NanGuard) for c in callbacks)
    if not guarded:
        callbacks.insert(0, NanGuard())
    with contextlib.ExitStack() as at_the_end:
        for callback in callbacks:
            if isinstance(callback, GracefulStop):  # also where training ends by an exception
                at_the_end.callback(callback.release)
        history = keras.Model.fit(
            model,
            batches,
            epochs=epochs,
            initial_epoch=model.start_epoch,
            callbacks=callbacks,
            verbose=0,
            shuffle=False,
            **kwargs,
        )
    model.start_epoch = model.start_position = 0
    if checkpoints is not None or not guarded:
        refuse_broken(model, checkpoints)
    if checkpoints is not None:
        tell_interrupt(checkpoints, callbacks)
    return history


def _faces_for(model: Trainer, faces: Any, progress: bool) -> Faces:
    """The faces that `fit` was given, or those of an array, in the model's size."""
    if isinstance(faces, np.ndarray):  # as they are: another size is told below
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


class _TellEpoch(keras.callbacks.Callback):
    """Tells batches that Keras does not know which epoch is about to be read."""

    def __init__(self, batches: FaceBatches):
        super().__init__()
        self.batches = batches

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self.batches.epoch = epoch


class _RestoreMetrics(keras.callbacks.Callback):
    """Gives the first epoch after a resume the running means it had when it was cut off."""

    def __init__(self, values: list[np.ndarray]):
        super().__init__()
        self.values = values

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        if epoch == self.model.start_epoch:
            for variable, value in zip(self.model.metrics_variables, self.values, strict=True):
                variable.assign(value)
