"""Trackers of a training: TensorBoard and Weights & Biases."""

import contextlib
import dataclasses
import netrc
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import keras
from tqdm.auto import tqdm

from facegen_keras.backend.types import Logs
from facegen_keras.engine.callbacks import ImageGrid
from facegen_keras.errors import UserError, require
from facegen_keras.runs.config import TrainConfig

# Of WANDB_MODE; dryrun and run are older names of offline and online.
MODES = ("online", "offline", "disabled", "shared", "dryrun", "run")
MODES_WITHOUT_KEY = ("offline", "disabled", "dryrun")
PATIENCE = 120  # seconds for what is still to be sent when a training ends
HOSTS = ("api.wandb.ai", "api.forge.coreweave.com")  # where wandb has its own servers


class _Scalars(keras.callbacks.TensorBoard):
    """Without the logs that are lists, such as the KL per dimension.

    Where it cannot write, the training goes on without it.
    """

    only_in_first = True
    fails = False

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._told(super().on_train_begin, logs)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        never = self.model.never_computed()
        scalars = {
            k: v for k, v in (logs or {}).items() if not isinstance(v, list) and k not in never
        }
        self._told(super().on_epoch_end, epoch, scalars)

    def on_train_end(self, logs: Logs | None = None) -> None:
        self._told(super().on_train_end, logs)

    def _told(self, tell: Callable[..., object], *news: object) -> None:
        """Tell TensorBoard something, unless that has failed before."""
        if self.fails:
            return
        try:
            tell(*news)
        except Exception as error:  # those of TensorFlow are of its own kinds
            self.fails = True
            _go_on_without("TensorBoard", error, Path(self.log_dir).parent)


def tensorboard(folder: Path) -> keras.callbacks.Callback:
    """Keras's TensorBoard callback, writing into the run's folder.

    Raises:
        UserError: The package `tensorboard` is not installed.
    """
    require("tensorboard", "tensorboard")
    return _Scalars(folder / "tensorboard", write_graph=False)


def wandb_mode() -> str:
    """The mode in `WANDB_MODE`, else online; offline where that needs a key and there is none.

    Raises:
        UserError: The package `wandb` is not installed, there is no such mode, the key is invalid,
            or the server cannot be reached.
    """
    wandb = require("wandb", "wandb")
    mode = os.environ.get("WANDB_MODE") or "online"
    if mode not in MODES:
        raise UserError(f"WANDB_MODE {mode}: expected one of {', '.join(MODES)}")
    if mode in MODES_WITHOUT_KEY:
        return mode
    if not _has_key():
        return "offline"
    with _in_one_line():
        wandb.login(verify=True)  # asks the server whether the key is valid; never prompts for one
    return mode


@contextlib.contextmanager
def _in_one_line() -> Iterator[None]:
    """Turn what Weights & Biases raises into a `UserError` of one line."""
    try:
        yield
    except Exception as error:  # it raises its own kinds and pydantic's
        raise UserError(
            f"Weights & Biases: {_reason(error)}; fix it, or set WANDB_MODE=offline"
        ) from error


def _reason(error: Exception) -> str:
    """What it says, which may take several lines, in one."""
    return " ".join(str(error).split())[:300].rstrip(".") or type(error).__name__


def _go_on_without(tracker: str, error: Exception, folder: Path) -> None:
    tqdm.write(
        f"warning: {tracker}: {_reason(error)}; the training goes on without it, "
        f"{folder / 'log.jsonl'} has everything"
    )


def _has_key() -> bool:
    """Whether there is a key; asking wandb itself may open a prompt."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    path = Path(os.environ.get("NETRC", Path.home() / ".netrc"))
    server = urlsplit(os.environ.get("WANDB_BASE_URL", "")).netloc
    try:
        entries = netrc.netrc(path)
    except (OSError, netrc.NetrcParseError):
        return False
    found = [entries.authenticators(host) for host in ([server] if server else HOSTS)]
    return any(entry and entry[2] for entry in found)


class WandbLog(keras.callbacks.Callback):
    """Losses, grids and configuration to Weights & Biases.

    Never asks for a key: without one (in `WANDB_API_KEY` or from an earlier `wandb login`) the run
    is kept offline in its folder, for `wandb sync`. A resumed run continues under its id, which is
    part of every checkpoint (`get_state`, `set_state`).

    Args:
        config: The training's configuration.
        folder: The run's folder.
        grid: The callback whose pictures are logged.

    Raises:
        UserError: The package `wandb` is not installed; when training begins, as for `wandb_mode`.
    """

    only_in_first = True

    def __init__(self, config: TrainConfig, folder: Path, grid: ImageGrid) -> None:
        super().__init__()
        self.wandb = require("wandb", "wandb")
        self.config, self.folder, self.grid = config, folder, grid
        self.run_id = uuid.uuid4().hex[:8]
        self.logged: Any = None
        self.run: Any = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        mode = wandb_mode()
        if mode == "offline" and not _has_key():
            print(f"Weights & Biases: no key; offline in {self.folder / 'wandb'}, for `wandb sync`")
        with _in_one_line():
            self.run = self.wandb.init(
                project=self.config.wandb_project,
                group=self.config.wandb_group,
                name=self.folder.name,
                id=self.run_id,
                resume="allow",
                dir=str(self.folder),
                mode=mode,
                config=dataclasses.asdict(self.config),
                settings=self._settings(),
            )

    def _settings(self) -> Any:
        """Quiet, and at the end no longer than `PATIENCE` for a server that does not answer."""
        options: dict[str, Any] = {"silent": True}
        known = getattr(self.wandb.Settings, "model_fields", {})
        if "finish_timeout" in known:  # older versions wait as long as it takes
            options |= {"finish_timeout": PATIENCE, "finish_timeout_raises": True}
        return self.wandb.Settings(**options)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if not self.model.epoch_is_complete:
            return
        never = self.model.never_computed()
        entry: dict[str, Any] = {
            k: v for k, v in (logs or {}).items() if isinstance(v, int | float) and k not in never
        }
        entry |= {"epoch": epoch + 1, "images_seen": self.model.images_seen}
        if self.grid.latest is not None and self.grid.latest is not self.logged:
            self.logged = self.grid.latest
            entry["fakes"] = [self.wandb.Image(image) for image in self.logged[:16]]
        self._told(lambda run: run.log(entry, step=self.model.steps))

    def on_train_end(self, logs: Logs | None = None) -> None:
        self._told(lambda run: run.finish())

    def _told(self, tell: Callable[[Any], object]) -> None:
        """Tell Weights & Biases something; where that fails, the training goes on without it."""
        if self.run is None:
            return
        try:
            tell(self.run)
        except Exception as error:  # it raises its own kinds, and the network's
            self.run = None
            _go_on_without("Weights & Biases", error, self.folder)

    def get_state(self) -> dict[str, Any]:
        return {"run_id": self.run_id}

    def set_state(self, state: dict[str, Any]) -> None:
        self.run_id = state["run_id"]
