"""`RunState`: what a resumed training needs to know beside the values of its variables."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from facegen_keras.files.json_values import as_json

FORMAT = 1  # of the record below; a checkpoint with another one is refused, never guessed at


@dataclass(frozen=True)
class Start:
    """Where a `fit` begins.

    Attributes:
        epoch: Finished epochs.
        position: Finished batches of the epoch after them.
    """

    epoch: int = 0
    position: int = 0


@dataclass(frozen=True)
class RunState:
    """The record that a checkpoint keeps beside the variables.

    `Trainer.run_state` makes one and `Trainer.resume` takes one; nothing else about a training has
    to be remembered.

    Attributes:
        family: Name of the family.
        options: The family's options, as `get_config` returns them and JSON can hold them.
        batch_size: Images per step; None before the first `fit`.
        data_fingerprint: Identity of the training photos; None for batches of the caller's own.
        mirror: Whether half of the photos are flipped at random; None for batches of the caller's
            own.
        epoch: Finished epochs.
        position: Finished batches of the epoch after them.
        step: Finished training steps.
        images_seen: Training images so far, repetitions counted.
        backend: Keras's backend.
        callbacks: States of callbacks, by the keys of `guards.stateful`.
    """

    family: str
    options: Mapping[str, Any]
    batch_size: int | None
    data_fingerprint: str | None
    mirror: bool | None
    epoch: int
    position: int
    step: int
    images_seen: int
    backend: str
    callbacks: Mapping[str, Any] = field(default_factory=dict)

    @property
    def start(self) -> Start:
        """Where the next `fit` begins."""
        return Start(self.epoch, self.position)

    def settings(self) -> dict[str, Any]:
        """What decides the result of a training, by name: it has to be the same on resume."""
        names = ("family", "batch_size", "data_fingerprint", "mirror")
        return {**{name: getattr(self, name) for name in names}, **self.options}

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps({"format": FORMAT, **asdict(self)}, default=as_json)


def plain_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as they come back from JSON: tuples are lists, NumPy's numbers Python's."""
    return json.loads(json.dumps(dict(options), default=as_json))
