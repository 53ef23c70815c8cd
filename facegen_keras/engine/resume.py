"""Resuming a training from its checkpoints: one way for `fit(checkpoints=...)` and for a run.

What decides the result of a training must be the same as before, or the result would not be that
of a training without the interruption. `MAY_CHANGE` is the one exception.
"""

import os
from collections.abc import Collection, Mapping
from typing import Any

from facegen_keras.engine import checkpoint
from facegen_keras.engine.options import MAY_CHANGE
from facegen_keras.engine.run_state import RunState, plain_options
from facegen_keras.engine.trainer import Trainer
from facegen_keras.errors import UserError


def restore(
    model: Trainer,
    folder: str | os.PathLike,
    batch_size: int,
    data_fingerprint: str | None,
    mirror: bool | None,
    advice: str,
) -> RunState | None:
    """Restore the latest checkpoint of the same training, where there is one.

    Args:
        model: Compiled.
        folder: Holds the checkpoints, or will.
        batch_size: Images per step.
        data_fingerprint: Identity of the photos; None if it is unknown.
        mirror: Whether half of the photos are flipped at random; None if it is unknown.
        advice: What to do about a refusal: the end of the message.

    Returns:
        The restored state, or None where a training begins.

    Raises:
        UserError: The checkpoints are of other photos, another batch size, another family or
            another option, or none of them can be read.
    """
    found = checkpoint.latest(folder)
    if found is None:
        return None
    now = {
        "family": model.family,
        "batch_size": batch_size,
        "data_fingerprint": data_fingerprint,
        "mirror": mirror,
        **plain_options(model.get_config()),
    }
    state = found.state
    defaults = plain_options(model.default_config())
    before = {name: value for name, value in defaults.items() if name in now} | state.settings()
    check_unchanged(before, now, MAY_CHANGE, folder, advice)
    checkpoint.apply(model, found)
    print(
        f"resuming from {folder} after step {state.step} (epoch {state.epoch + 1}, "
        f"{state.images_seen:,} images seen)"
    )
    return state


def check_unchanged(
    before: Mapping[str, Any],
    now: Mapping[str, Any],
    may_change: Collection[str],
    place: str | os.PathLike,
    advice: str,
) -> None:
    """Refuse to resume a training with other settings.

    Args:
        before: What it was trained with, by name.
        now: What it is to be resumed with.
        may_change: Names that are not compared.
        place: Where the training is, for the message.
        advice: What to do about a refusal: the end of the message.

    Raises:
        UserError: A setting is another one; names it and both values.
    """
    for name, value in before.items():
        given = now.get(name)
        if name in may_change or given == value:
            continue
        if name in ("data_fingerprint", "mirror") and None in (given, value):
            continue  # batches of the caller's own: nobody can tell
        if name == "data_fingerprint" and value and given:
            raise UserError(
                f"{place} was trained on other photos (fingerprint {value[:12]}, now "
                f"{given[:12]}), which cannot change on resume; {advice}"
            )
        raise UserError(
            f"{name} {_shown(given)}: {place} was trained with {_shown(value)}, which cannot "
            f"change on resume; {advice}"
        )


def _shown(value: Any) -> str:
    return "none" if value in ("", None) else str(value)
