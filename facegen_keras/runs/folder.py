"""The folder of a run: made with its record, found again, and guarded against another training."""

import dataclasses
import json
import platform
import shlex
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import keras

from facegen_keras import backend
from facegen_keras.data import Faces
from facegen_keras.data.batches import check_batch_size
from facegen_keras.engine import checkpoint
from facegen_keras.errors import UserError
from facegen_keras.files.atomic import write_text
from facegen_keras.pictures import save_grid
from facegen_keras.runs.config import MAY_CHANGE, TrainConfig, load_config

RESULT = "result.json"  # in the folder of a run that came to its end
PHOTOS_SHOWN = 64
TOLD_IF_CHANGED = ("epochs", "decay_from", "augment")  # of MAY_CHANGE, those that training feels
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
    try:
        folder = _named_folder(config) if config.name else _timed_folder(config)
    except OSError as error:
        raise UserError(f"output_dir {config.output_dir}: {error.strerror}") from error
    dataclasses.replace(config, name=folder.name).save(folder / "config.yaml")
    save_grid(faces[:PHOTOS_SHOWN], folder / "reals.png")
    if faces.report.skipped:
        skipped = {
            name: f"{problem}: {detail}" if detail else problem
            for name, problem, detail in faces.report.skipped
        }
        write_text(folder / "skipped.json", json.dumps(skipped, indent=2) + "\n")
    print(f"training {config.model} in {folder}: {len(faces)} images, seed {config.seed}")
    return folder


def _named_folder(config: TrainConfig) -> Path:
    folder = Path(config.output_dir) / config.name
    if (folder / "config.yaml").exists():
        raise UserError(
            f"name {config.name}: {folder} exists; go on with it by --resume "
            f"{shlex.quote(str(folder))}, or choose another"
        )
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _timed_folder(config: TrainConfig) -> Path:
    """A folder that was not there, also when two runs begin in the same second."""
    name = f"{config.model}_{config.resolution}_{time.strftime('%Y%m%d-%H%M%S')}"
    folder, count = Path(config.output_dir) / name, 1
    while True:
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            count += 1
            folder = folder.with_name(f"{name}-{count}")


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


def check_same_run(config: TrainConfig, folder: Path) -> dict[str, list]:
    """Refuse to go on with a run under another configuration than the one it began with.

    Returns:
        The options of the training that changed all the same: `{name: [before, now]}`.
    """
    stored = load_config(folder / "config.yaml")
    changed = {}
    for field in dataclasses.fields(config):
        given, before = getattr(config, field.name), getattr(stored, field.name)
        if field.name in TOLD_IF_CHANGED and given != before:
            changed[field.name] = [before, given]
        if field.name not in MAY_CHANGE and given != before:
            raise UserError(
                f"--{field.name} {given}: {folder} was trained with {_told(before)}, which cannot "
                "change when it goes on; leave it out, or start a new run (in Python begin with "
                f"facegen_keras.runs.config.load_config({str(folder / 'config.yaml')!r}))"
            )
    return changed


def _told(value: Any) -> str:
    return "none" if value in ("", None) else str(value)


def check_same_data(folder: Path, faces: Faces, data_path: str) -> None:
    """Refuse to go on with a run on other photos than those it began with."""
    last = checkpoint.read_state(folder / "checkpoints")
    if last and last["data_fingerprint"] != faces.fingerprint:
        raise UserError(
            f"{folder}: its data changed (fingerprint {faces.fingerprint[:12]} of {data_path}, "
            f"{last['data_fingerprint'][:12]} when it was trained); give the same photos, or start "
            "a new run"
        )


def record_environment(folder: Path, step: int, changed: dict[str, list]) -> None:
    """Add this start of the run, what it runs on, and what changed (see `check_same_run`), to
    `environment.json`."""
    path = folder / "environment.json"
    sessions = _sessions(path)
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
            **({"changed": changed} if changed else {}),
            "python": platform.python_version(),
            "system": platform.platform(),
            "backend": keras.backend.backend(),
            "accelerator": backend.has_accelerator(),
            "versions": versions,
        }
    )
    write_text(path, json.dumps(sessions, indent=2) + "\n")


def _sessions(path: Path) -> list[dict]:
    """What `environment.json` holds; nothing where it is missing or was damaged."""
    try:
        return list(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return []


def _last_sign_of_life(folder: Path) -> float:
    paths = [folder / "config.yaml", *checkpoint.find(folder / "checkpoints")]
    return max(path.stat().st_mtime for path in paths)
