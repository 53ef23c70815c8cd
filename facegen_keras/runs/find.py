"""The run to resume; finding it needs no Keras."""

import os
from pathlib import Path

from facegen_keras.errors import UserError


def find_run(resume: str, output_dir: str | Path) -> Path:
    """The folder of a run to resume: a path, or `"latest"` for the newest in `output_dir`.

    Raises:
        UserError: There is no such run.
    """
    if resume != "latest":
        folder = Path(os.path.expanduser(resume))
        if not (folder / "config.yaml").is_file():
            raise UserError(f"--resume {resume}: not the folder of a run (no config.yaml in it)")
        return folder
    runs = [path.parent for path in Path(os.path.expanduser(output_dir)).glob("*/config.yaml")]
    if not runs:
        raise UserError(f"--resume latest: no run in {output_dir}; start one first")
    return max(runs, key=_last_changed)


def _last_changed(folder: Path) -> float:
    paths = [folder / "config.yaml", *folder.glob("checkpoints/*.h5")]
    return max(path.stat().st_mtime for path in paths)
