"""`sweep`: several configurations one after the other, and one table and figure of the results."""

import csv
import dataclasses
import json
import time
from collections.abc import Sequence
from pathlib import Path

from facegen_keras import figures
from facegen_keras.cli.sweep_config import Sweep
from facegen_keras.cli.train import take_part
from facegen_keras.engine import distribution
from facegen_keras.errors import UserError
from facegen_keras.figures.curves import compare_families
from facegen_keras.files.atomic import replacing
from facegen_keras.files.own_pictures import MARK
from facegen_keras.runs.config import TrainConfig, load_config
from facegen_keras.runs.folder import RESULT, check_same_run, settle_precision
from facegen_keras.runs.train import train


def run(sweep: Sweep) -> int:
    """Train every configuration, then compare them."""
    began = time.monotonic()
    # Looked at before the first is trained, as their files were.
    configs = [_resumed(config, sweep.output_dir / str(config.name)) for config in sweep.configs]
    take_part(configs[0])
    folders = [_train(config, str(config.name), began) for config in configs]
    return distribution.in_first(lambda: _compare(folders, sweep.output_dir)) or 0


def _resumed(config: TrainConfig, folder: Path) -> TrainConfig:
    """What to train or to resume, checked against the run that is there."""
    if not (folder / "config.yaml").exists():
        return config
    # Resolved like the stored one, so that a default and its value are the same.
    config = settle_precision(config, folder).resolved()
    check_same_run(config, folder)
    return dataclasses.replace(config, resume=str(folder))


def _train(config: TrainConfig, name: str, began: float) -> Path:
    """Train or skip one run of a sweep that began at `began`; the time limit counts from then."""
    folder = Path(config.output_dir) / name
    if distribution.in_first(lambda: _epochs_finished(folder)) >= config.epochs:
        print(f"{name}: finished")
        return folder
    left, whole = None, config.time_limit_seconds
    if whole is not None:
        left = distribution.in_first(lambda: began + whole - time.monotonic())
    if left is None or left >= 0.001:  # the resolution of the text below
        limit = None if left is None else f"{left:.3f}s"
        train(dataclasses.replace(config, time_limit=limit))
        distribution.clear_session()
    if distribution.in_first(lambda: _epochs_finished(folder)) < config.epochs:
        # Ctrl-C or the time limit: for the whole sweep
        raise UserError(f"{name}: stopped before its end; the same command again resumes it")
    return folder


def _epochs_finished(folder: Path) -> int:
    """The epochs asked for when the run was last finished; 0 where it never was."""
    return int(_result(folder)["epochs"]) if (folder / RESULT).exists() else 0


def _result(folder: Path) -> dict:
    """What a finished run has written.

    Raises:
        UserError: It is damaged.
    """
    path = folder / RESULT
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
        return {name: result[name] for name in ("epochs", "best_value")}
    except (OSError, ValueError, TypeError, KeyError):
        raise UserError(
            f"{path}: damaged; delete it, and the same command writes it again"
        ) from None


def _compare(folders: Sequence[Path], output: Path) -> int:
    rows = []
    families: dict[str, list[Path]] = {}
    for folder in folders:
        last = figures.read_log(folder)[-1]
        result = _result(folder)
        config = load_config(folder / "config.yaml")
        family = config.family.family
        families.setdefault(family, []).append(folder)
        rows.append(
            {
                "run": folder.name,
                "family": family,
                "latent_dim": config.latent_dim,
                "beta": config.beta,
                "beta_1": config.beta_1,
                "epochs": last["epoch"],
                "images_seen": last["images_seen"],
                "best_value": result["best_value"],
                **{name: value for name, value in last.items() if name.endswith("loss")},
            }
        )
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with (
        replacing(output / "sweep.csv") as temporary,
        open(temporary, "w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    with replacing(output / "sweep.png") as temporary:
        compare_families(families).savefig(temporary, metadata=MARK)
    print(f"{len(rows)} runs compared: {output / 'sweep.csv'}, {output / 'sweep.png'}")
    return 0
