"""Training followed from outside: TensorBoard, and Weights & Biases if asked."""

import dataclasses
import os
import uuid
from pathlib import Path
from typing import Any

import keras

from facegen_keras.config import TrainConfig
from facegen_keras.engine.callbacks import ImageGrid
from facegen_keras.errors import require


class _Scalars(keras.callbacks.TensorBoard):
    """Without the logs that are lists, such as the KL per dimension."""

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        scalars = {k: v for k, v in (logs or {}).items() if not isinstance(v, list)}
        super().on_epoch_end(epoch, scalars)


def tensorboard(folder: Path) -> keras.callbacks.Callback:
    """Keras's TensorBoard callback, writing into the run's folder.

    Raises:
        UserError: The package `tensorboard` is not installed.
    """
    require("tensorboard", "tensorboard")
    return _Scalars(folder / "tensorboard", write_graph=False)


class WandbLog(keras.callbacks.Callback):
    """Losses, grids and configuration to Weights & Biases.

    Never asks for a key: without one (in `WANDB_API_KEY` or from an earlier `wandb login`) the run
    is kept offline in its folder, for `wandb sync`. A resumed run goes on under its id.

    Args:
        config: The training's configuration.
        folder: The run's folder.
        grid: The callback whose pictures are logged.
        run_id: Of the run to go on with; a new one by default.

    Raises:
        UserError: The package `wandb` is not installed.
    """

    def __init__(
        self, config: TrainConfig, folder: Path, grid: ImageGrid, run_id: str | None = None
    ):
        super().__init__()
        self.wandb = require("wandb", "wandb")
        self.config, self.folder, self.grid = config, folder, grid
        self.run_id = run_id or uuid.uuid4().hex[:8]
        self.logged: Any = None

    def on_train_begin(self, logs: dict | None = None) -> None:
        self.run = self.wandb.init(
            project=self.config.wandb_project,
            group=self.config.wandb_group,
            name=self.folder.name,
            id=self.run_id,
            resume="allow",
            dir=str(self.folder),
            mode=os.environ.get("WANDB_MODE") or ("online" if self._has_key() else "offline"),
            config=dataclasses.asdict(self.config),
            settings=self.wandb.Settings(silent=True),
        )

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if not self.model.epoch_is_complete:
            return
        entry = {k: v for k, v in (logs or {}).items() if isinstance(v, int | float)}
        entry |= {"epoch": epoch + 1, "images_seen": self.model.images_seen}
        if self.grid.latest is not None and self.grid.latest is not self.logged:
            self.logged = self.grid.latest
            entry["fakes"] = [self.wandb.Image(image) for image in self.logged[:16]]
        self.run.log(entry, step=self.model.steps)

    def on_train_end(self, logs: dict | None = None) -> None:
        self.run.finish()

    def _has_key(self) -> bool:
        # Read as files and variables, since asking wandb itself may open a prompt.
        if os.environ.get("WANDB_API_KEY"):
            return True
        netrc = Path(os.environ.get("NETRC", Path.home() / ".netrc"))
        return netrc.is_file() and "api.wandb.ai" in netrc.read_text(encoding="utf-8")
