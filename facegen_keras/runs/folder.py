"""The folder of a run: made with its record, and kept from another training."""

import dataclasses
import json
import platform
import shlex
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import keras

from facegen_keras import backend
from facegen_keras.backend.precision import fastest_precision
from facegen_keras.data import Faces
from facegen_keras.data.batches import check_batch_size
from facegen_keras.engine import distribution
from facegen_keras.engine.resume import check_unchanged
from facegen_keras.errors import UserError
from facegen_keras.figures.curves import DISTANCES
from facegen_keras.files.atomic import write_text
from facegen_keras.pictures import save_grid
from facegen_keras.runs.config import MAY_CHANGE, TrainConfig, load_config

RESULT = "result.json"  # in the folder of a run that is finished
PHOTOS_SHOWN = 64  # as many as there are fakes in a grid
RECORDED_CHANGES = (  # of MAY_CHANGE: these affect the model
    "epochs", "decay_from", "augment", "prior", "prior_components",
)  # fmt: skip
MEASURES = {"extractor", "fid_images"}  # of MAY_CHANGE, until the log has a distance
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
        folder = _named_folder(config, config.name) if config.name else _timed_folder(config)
    except OSError as error:
        raise UserError(f"output_dir {config.output_dir}: {error.strerror}") from error
    dataclasses.replace(config, name=folder.name).save(folder / "config.yaml")
    devices = distribution.device_count()
    places = f" on {devices} devices" if devices > 1 else ""
    print(f"training {config.model} in {folder}{places}: {len(faces)} images, seed {config.seed}")
    return folder


def record_photos(folder: Path, faces: Faces) -> None:
    """Write `reals.png` and `skipped.json`, unless a start before this one has."""
    if (folder / "reals.png").exists():
        return
    if faces.report.skipped:
        skipped = {
            name: f"{problem}: {detail}" if detail else problem
            for name, problem, detail in faces.report.skipped
        }
        write_text(folder / "skipped.json", json.dumps(skipped, indent=2) + "\n")
    save_grid(faces[:PHOTOS_SHOWN], folder / "reals.png")  # last: it tells that both are there


def _named_folder(config: TrainConfig, name: str) -> Path:
    folder = Path(config.output_dir) / name
    if (folder / "config.yaml").exists():
        raise UserError(
            f"name {name}: {folder} exists; continue it with --resume "
            f"{shlex.quote(str(folder))}, or choose another name"
        )
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _timed_folder(config: TrainConfig) -> Path:
    """A new folder, also when two runs begin in the same second."""
    name = f"{config.model}_{config.resolution}_{time.strftime('%Y%m%d-%H%M%S')}"
    folder, count = Path(config.output_dir) / name, 1
    while True:
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            count += 1
            folder = folder.with_name(f"{name}-{count}")


def settle_precision(config: TrainConfig, folder: Path | None) -> TrainConfig:
    """Replace the precision "auto" by what it stands for, and say so.

    Args:
        config: The configuration.
        folder: Of the run to resume, which goes on in its own precision; None for a new one.
    """
    if config.precision != "auto":
        return config
    if folder is not None:
        return dataclasses.replace(config, precision=load_config(folder / "config.yaml").precision)
    precision, reason = fastest_precision()
    print(f"precision {precision}: {reason}")
    return dataclasses.replace(config, precision=precision)


def check_same_run(config: TrainConfig, folder: Path) -> dict[str, list]:
    """Refuse to resume a run with another configuration than the one it began with.

    Returns:
        The options in `RECORDED_CHANGES` that changed: `{name: [before, now]}`.

    Raises:
        UserError: An option that is not in `MAY_CHANGE` differs, or the log has distances that are
            measured in another way.
    """
    path = folder / "config.yaml"
    # What a record does not name, an earlier version trained with its default.
    before = dataclasses.asdict(load_config(path).resolved())
    now = dataclasses.asdict(config.resolved() if config.model else config)
    advice = (
        "leave it out, or start a new run (in Python begin with "
        f"facegen_keras.runs.config.load_config({str(path)!r}))"
    )
    may_change = MAY_CHANGE - (MEASURES if _is_measured(folder) else set())
    check_unchanged(before, now, may_change, folder, advice)
    return {
        name: [before[name], now[name]] for name in RECORDED_CHANGES if before[name] != now[name]
    }


def _is_measured(folder: Path) -> bool:
    """Whether the run's log has a distance to the photos; the resumed run drops damaged lines."""
    path = folder / "log.jsonl"
    text = path.read_text("utf-8", errors="replace") if path.exists() else ""
    return any(_has_distance(line) for line in text.splitlines())


def _has_distance(line: str) -> bool:
    try:
        record = json.loads(line)
    except ValueError:
        return False
    return isinstance(record, dict) and any(record.get(name) is not None for name in DISTANCES)


def record_environment(folder: Path, step: int, changed: dict[str, list]) -> None:
    """Add a start of the run to `environment.json`: what it runs on, and what changed.

    Args:
        folder: The run's folder.
        step: Training steps before this start.
        changed: What `check_same_run` returned.
    """
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
            "devices": distribution.device_count(),
            "processes": distribution.member().count,
            "versions": versions,
        }
    )
    write_text(path, json.dumps(sessions, indent=2) + "\n")


def _sessions(path: Path) -> list[dict]:
    """The starts in `environment.json`; none where it is missing or damaged."""
    try:
        return list(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return []
