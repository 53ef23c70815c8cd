"""`sweep`: several configurations one after the other, and one table and figure of the results."""

import csv
import dataclasses
import json
import time
from collections.abc import Sequence
from pathlib import Path

import keras

from facegen_keras import figures
from facegen_keras.cli.parser import parse
from facegen_keras.errors import UserError
from facegen_keras.figures.curves import compare_families
from facegen_keras.runs.config import TrainConfig, load_config
from facegen_keras.runs.folder import RESULT, check_same_run
from facegen_keras.runs.train import train

USAGE = (
    "usage: facegen sweep FILE.yaml [FILE.yaml ...] [--NAME VALUE ...]\n\n"
    "Trains each configuration in turn; the flags are those of `facegen train` and win over the\n"
    "files. What is finished is skipped and what was cut off is resumed: repeat the same command\n"
    "to continue. Runs are named after their files; their models stay in their folders, or go to\n"
    "saved_models_dir/<run>/ if that is given; time_limit is that of the whole sweep.\n"
    "Writes sweep.csv and sweep.png to output_dir."
)


def main(argv: Sequence[str]) -> int:
    """Train every configuration named before the first flag, then compare them."""
    began = time.monotonic()
    argv = list(argv)
    if not argv or argv[0] in ("-h", "--help"):
        print(USAGE)
        return 0
    first_flag = next((k for k, word in enumerate(argv) if word.startswith("--")), len(argv))
    files, flags = argv[:first_flag], argv[first_flag:]
    if not files:
        raise UserError("sweep: name the configuration files first, then the flags")
    names = [Path(file).stem for file in files]
    if len(set(names)) < len(names):
        raise UserError("sweep: two of the files have the same name, which names their runs")
    # Read all of them before the first is trained: a misspelt key must not show after hours.
    configs = [_configuration(file, name, flags) for file, name in zip(files, names, strict=True)]
    folders = [_train(config, name, began) for config, name in zip(configs, names, strict=True)]
    return _compare(folders, Path(configs[0].output_dir))


def _configuration(file: str, name: str, flags: Sequence[str]) -> TrainConfig:
    """What to train or to resume, checked against the run that is there."""
    config = parse(TrainConfig, ["--config", file, *flags], "facegen sweep", "A sweep.")
    if config.dry_run:
        raise UserError(
            f"--dry_run: a sweep trains; look at it with: facegen train --config {file} --dry_run"
        )
    if config.name is not None:
        raise UserError(
            f"name {config.name}: the runs of a sweep are named after their files, this one "
            f"{name}; leave it out"
        )
    config.model_options()
    folder = Path(config.output_dir) / name
    models = folder  # by default, not over the pretrained models
    if config.saved_models_dir != TrainConfig.saved_models_dir:
        models = Path(config.saved_models_dir) / name
    config = dataclasses.replace(
        config,
        name=name,
        saved_models_dir=str(models),
        wandb_group=config.wandb_group or "sweep",
    )
    if not (folder / "config.yaml").exists():
        return config
    # Resolved like the stored one, so that a default and its value are the same.
    config = config.resolved()
    check_same_run(config, folder)
    return dataclasses.replace(config, resume=str(folder))


def _train(config: TrainConfig, name: str, began: float) -> Path:
    """Train or skip one run of a sweep that began at `began`; the time limit counts from then."""
    folder = Path(config.output_dir) / name
    if _epochs_finished(folder) >= config.epochs:
        print(f"{name}: finished")
        return folder
    left = config.time_limit_seconds
    if left is not None:
        left -= time.monotonic() - began
    if left is None or left >= 0.001:  # the resolution of the text below
        limit = None if left is None else f"{left:.3f}s"
        train(dataclasses.replace(config, time_limit=limit))
        keras.backend.clear_session()
    if _epochs_finished(folder) < config.epochs:  # Ctrl-C or the time limit: for the whole sweep
        raise UserError(f"{name}: stopped before its end; the same command again resumes it")
    return folder


def _epochs_finished(folder: Path) -> int:
    """The epochs asked for when the run was last finished; 0 where it never was."""
    result = folder / RESULT
    return json.loads(result.read_text(encoding="utf-8"))["epochs"] if result.exists() else 0


def _compare(folders: Sequence[Path], output: Path) -> int:
    rows = []
    families: dict[str, list[Path]] = {}
    for folder in folders:
        last = figures.read_log(folder)[-1]
        result = json.loads((folder / RESULT).read_text(encoding="utf-8"))
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
    with open(output / "sweep.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    compare_families(families).savefig(output / "sweep.png")
    print(f"{len(rows)} runs compared: {output / 'sweep.csv'}, {output / 'sweep.png'}")
    return 0
