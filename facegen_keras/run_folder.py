"""The folder of a run: made with its record, found again, and guarded against another training."""

import dataclasses
import json
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import keras

from facegen_keras.config import MAY_CHANGE, TrainConfig, load_config
from facegen_keras.data import Faces
from facegen_keras.data.batches import check_batch_size
from facegen_keras.engine import autodiff, checkpoint
from facegen_keras.errors import UserError
from facegen_keras.generate import save_grid

RESULT = "result.json"  # in the folder of a run that came to its end
PHOTOS_SHOWN = 64
PACKAGES = ("facegen-keras", "keras", "tensorflow", "jax", "torch", "numpy", "pillow", "h5py")


def make_run(config: TrainConfig, faces: Faces) -> Path:
    """A new folder with the record of what is about to be trained.

    Args:
        config: Resolved: every option of the family filled in.
        faces: What it is trained on.

    Raises:
        UserError: A batch is larger than the data, or the folder exists or cannot be made.
    """
    check_batch_size(config.batch_size, len(faces))
    when = time.strftime("%Y%m%d-%H%M%S")
    name = config.name or f"{config.model}_{config.resolution}_{when}"
    folder = Path(config.output_dir) / name
    if config.name and (folder / "config.yaml").exists():
        raise UserError(
            f"name {name}: {folder} exists; go on with it by --resume {folder}, or choose another"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"output_dir {config.output_dir}: {error.strerror}") from error
    config = dataclasses.replace(config, name=name, resume=None)
    config.save(folder / "config.yaml")
    save_grid(faces[:PHOTOS_SHOWN], folder / "reals.png")
    print(f"training {config.model} in {folder}: {len(faces)} images, seed {config.seed}")
    return folder


def find_run(resume: str, output_dir: str | Path) -> Path:
    """The folder of a run to resume: a path, or `"latest"` for the newest in `output_dir`.

    Raises:
        UserError: There is no such run.
    """
    if resume != "latest":
        folder = Path(resume)
        if not (folder / "config.yaml").is_file():
            raise UserError(f"--resume {resume}: not the folder of a run (no config.yaml in it)")
        return folder
    runs = [path.parent for path in Path(output_dir).glob("*/config.yaml")]
    if not runs:
        raise UserError(f"--resume latest: no run in {output_dir}; start one first")
    return max(runs, key=_last_sign_of_life)


def check_same_run(config: TrainConfig, folder: Path) -> None:
    """Refuse to go on with a run under another configuration than the one it began with."""
    stored = load_config(folder / "config.yaml")
    for field in dataclasses.fields(config):
        given, before = getattr(config, field.name), getattr(stored, field.name)
        if field.name not in MAY_CHANGE and given != before:
            raise UserError(
                f"--{field.name} {given}: {folder} was trained with {before}, which cannot change "
                "when it goes on; leave the flag out, or start a new run"
            )


def record_environment(folder: Path, step: int) -> None:
    """Add this start of the run, and what it runs on, to `environment.json`."""
    path = folder / "environment.json"
    sessions = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    sessions.append(
        {
            "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "from_step": step,
            "python": platform.python_version(),
            "system": platform.platform(),
            "backend": keras.backend.backend(),
            "accelerator": autodiff.has_accelerator(),
            "versions": versions,
        }
    )
    path.write_text(json.dumps(sessions, indent=2) + "\n", encoding="utf-8")


def _last_sign_of_life(folder: Path) -> float:
    paths = [folder / "config.yaml", *checkpoint.find(folder / "checkpoints")]
    return max(path.stat().st_mtime for path in paths)
