"""`fit(checkpoints=folder)`: a training that a lost notebook cannot take along.

The command line has its run folders (`training.train`); this is the part of them that a notebook
needs: run the same cells again, and training goes on where it was cut off.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from facegen_keras.engine import checkpoint
from facegen_keras.engine.guards import Autosave, GracefulStop, recall
from facegen_keras.engine.trainer import Trainer
from facegen_keras.errors import UserError

MINUTES = 10  # from one checkpoint to the next within an epoch


def go_on(
    model: Trainer,
    folder: str | os.PathLike,
    data: Mapping[str, Any],
    batch_size: int,
    callbacks: list[keras.callbacks.Callback],
) -> list[keras.callbacks.Callback]:
    """Restore the latest checkpoint, where there is one, and add what writes the next.

    Args:
        model: Compiled.
        folder: Of the checkpoints.
        data: What tells the photos about to be trained on from others: `fingerprint`, `mirror`.
        batch_size: Images a step.
        callbacks: The caller's; those with `get_state` and `set_state` get their memory back.

    Returns:
        The caller's callbacks, then a clean end on an interrupt, and a checkpoint every epoch and
        every ten minutes.

    Raises:
        UserError: The checkpoints are of other photos, another batch size, or a model of another
            family or with another option.
    """
    folder = Path(folder)
    kept = {"options": model.get_config(), "mirror": data.get("mirror")}
    kept = json.loads(json.dumps(kept))  # as it comes back
    state = checkpoint.read_state(folder) or {}
    if state:
        now = {"family": model.family, "batch_size": batch_size, **data, **kept}
        _check_same(now, state, folder)
    if checkpoint.find(folder):
        state = checkpoint.restore(model, folder)
        print(f"going on from {folder}, after {state['images_seen']:,} images")
    autosave = Autosave(folder, 1, MINUTES, recall(callbacks, state), kept)
    return [*callbacks, GracefulStop(), autosave]


def _check_same(now: Mapping[str, Any], then: Mapping[str, Any], folder: Path) -> None:
    """Refuse to go on with other photos or another model than those of the checkpoints."""
    advice = f"give the same as then, or another folder than {folder}"
    given, stored = now.get("fingerprint"), then["data_fingerprint"]
    if given and stored and given != stored:
        raise UserError(
            f"the photos differ from those of the checkpoints (fingerprint {given[:12]}, "
            f"{stored[:12]} then); {advice}"
        )
    pairs = {name: (now[name], then.get(name)) for name in ("family", "batch_size", "mirror")}
    for name, value in then.get("options", {}).items():  # a run of the command line keeps its own
        pairs[name] = (now["options"].get(name), value)
    for name, (value, before) in pairs.items():
        unknown = name == "mirror" and None in (value, before)  # batches of the caller's own
        if value != before and not unknown:
            raise UserError(f"{name} {value!r}, {before!r} in the checkpoints; {advice}")


def refuse_broken(model: Trainer, folder: str | os.PathLike | None) -> None:
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
