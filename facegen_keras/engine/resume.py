"""`fit(checkpoints=folder)`: a training that a lost notebook cannot take along.

The command line has its run folders (`training.train`); this is the part of them that a notebook
needs: run the same cells again, and training goes on where it was cut off.
"""

import os
from pathlib import Path

import keras

from facegen_keras.engine import checkpoint
from facegen_keras.engine.guards import Autosave, GracefulStop, recall
from facegen_keras.engine.trainer import FaceModel
from facegen_keras.errors import UserError

MINUTES = 10  # from one checkpoint to the next within an epoch


def go_on(
    model: FaceModel,
    folder: str | os.PathLike,
    fingerprint: str | None,
    batch_size: int,
    callbacks: list[keras.callbacks.Callback],
) -> list[keras.callbacks.Callback]:
    """Restore the latest checkpoint, where there is one, and add what writes the next.

    Args:
        model: Compiled.
        folder: Of the checkpoints.
        fingerprint: Of the photos about to be trained on; None where they have none.
        batch_size: Images a step.
        callbacks: The caller's; those with `get_state` and `set_state` get their memory back.

    Returns:
        The caller's callbacks, then a clean end on an interrupt, and a checkpoint every epoch and
        every ten minutes.

    Raises:
        UserError: The checkpoints are of other photos, another batch size or another model.
    """
    folder = Path(folder)
    state = checkpoint.read_state(folder) or {}
    if state:
        advice = f"give the same as then, or another folder than {folder}"
        if fingerprint and state["data_fingerprint"] not in (None, fingerprint):
            raise UserError(
                f"the photos differ from those of the checkpoints (fingerprint {fingerprint[:12]}, "
                f"{state['data_fingerprint'][:12]} then); {advice}"
            )
        if batch_size != state["batch_size"]:
            raise UserError(
                f"batch_size {batch_size}, {state['batch_size']} in the checkpoints; {advice}"
            )
    if checkpoint.find(folder):
        state = checkpoint.restore(model, folder)
        print(f"going on from {folder}, after {state['images_seen']:,} images")
    autosave = Autosave(folder, 1, MINUTES, recall(callbacks, state))
    return [*callbacks, GracefulStop(), autosave]


def refuse_broken(model: FaceModel, folder: str | os.PathLike | None) -> None:
    """Say which loss broke, where one did.

    Raises:
        UserError: A loss stopped being a number; checkpoints in `folder` are from before.
    """
    if model.broken:
        step, term = model.broken
        kept = f"; the checkpoints in {folder} are from before" if folder else ""
        raise UserError(
            f"{term} is not a number at step {step}{kept}: make the model again with a lower "
            f"learning_rate{' and another folder' if folder else ''}"
        )


def tell_interrupt(folder: str | os.PathLike, callbacks: list[keras.callbacks.Callback]) -> None:
    """Say how to go on where training was interrupted."""
    reasons = [c.reason for c in callbacks if isinstance(c, GracefulStop) and c.reason]
    if reasons:
        print(f"stopped: {reasons[0]}. The same call goes on from {folder}")
