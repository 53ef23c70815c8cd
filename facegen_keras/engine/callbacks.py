"""The callbacks of a training: progress, pictures, logs, guards."""

from typing import Any

import keras
from tqdm.auto import tqdm


class Progress(keras.callbacks.Callback):
    """One bar with an ETA over the whole training, in a terminal and in a notebook."""

    def on_train_begin(self, logs: dict | None = None) -> None:
        steps, epochs = self.params["steps"], self.params["epochs"]
        self.bar = tqdm(
            total=steps * epochs, initial=steps * self.model.start_epoch, unit="step", mininterval=1
        )

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self.bar.set_description(f"epoch {epoch + 1}/{self.params['epochs']}", refresh=False)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.bar.update(1)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.bar.set_postfix({k: f"{v:.3g}" for k, v in (logs or {}).items()})

    def on_train_end(self, logs: dict | None = None) -> None:
        self.bar.close()
