"""The flags of `data check`."""

import shlex
from dataclasses import dataclass, field

from facegen_keras.data.sources import check_there
from facegen_keras.errors import UserError


@dataclass
class DataConfig:
    """What to check, and for which training."""

    action: str = field(default="check", metadata={"positional": True})
    """What to do; check is the only action."""
    path: str | None = field(default=None, metadata={"positional": True})
    """Folder, .zip, .npy, .npz or hf:owner/name[:split]."""
    output_dir: str = "./output"
    """Folder for data_check.json and data_check.png (the contact sheet)."""
    resolution: int = 64
    """Side of the images of the intended training, in pixels."""
    crop: str = "center"
    """none, center or x0,y0,x1,y1 in pixels of the photo."""
    min_size: int | None = None
    """Shorter side below which an image is too small; by default half the resolution."""
    workers: int | None = None
    """Processes that decode; by default one per core."""

    def __post_init__(self) -> None:
        """Refuse any other action, with the right command for a path in its place."""
        if self.action != "check":
            path = shlex.quote(self.path or self.action)
            raise UserError(f"data {self.action}: unknown action; say: facegen data check {path}")
        if self.min_size is not None and self.min_size < 1:
            raise UserError(f"min_size {self.min_size}: expected 1 pixel or more")


CONFIG = DataConfig


def check(config: DataConfig) -> None:
    """Refuse a path that is not given, or not there."""
    if config.path is None:
        raise UserError("data check: give it a folder, a .zip, a .npy or hf:owner/name")
    check_there(config.path)
