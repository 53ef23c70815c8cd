"""The flags of `sweep`: files of configurations, and flags of `train` for all of them."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from facegen_keras.cli.parser import parse
from facegen_keras.errors import UserError
from facegen_keras.runs.config import TrainConfig

USAGE = (
    "usage: facegen sweep FILE.yaml [FILE.yaml ...] [--NAME VALUE ...]\n\n"
    "Trains each configuration in turn; the flags are those of `facegen train` and win over the\n"
    "files. What is finished is skipped and what was cut off is resumed: repeat the same command\n"
    "to continue. Runs are named after their files; their models stay in their folders, or go to\n"
    "saved_models_dir/<run>/ if that is given; time_limit is that of the whole sweep.\n"
    "Writes sweep.csv and sweep.png to output_dir."
)


@dataclass(frozen=True)
class Sweep:
    """What to train one after the other.

    Attributes:
        output_dir: Folder of the runs and of their comparison.
        configs: One per run, with the name of its folder.
    """

    output_dir: Path
    configs: tuple[TrainConfig, ...]


def read(argv: Sequence[str]) -> Sweep:
    """Read every configuration named before the first flag.

    Raises:
        UserError: One of them cannot be read, or none is named.
        SystemExit: `--help` was asked for.
    """
    argv = list(argv)
    if not argv or argv[0] in ("-h", "--help"):
        print(USAGE)
        raise SystemExit(0)
    first_flag = next((k for k, word in enumerate(argv) if word.startswith("--")), len(argv))
    files, flags = argv[:first_flag], argv[first_flag:]
    if not files:
        raise UserError("sweep: name the configuration files first, then the flags")
    names = [Path(file).stem for file in files]
    if len(set(names)) < len(names):
        raise UserError("sweep: two of the files have the same name, which names their runs")
    # Read all of them before the first is trained: a misspelt key must not show after hours.
    configs = [_configuration(file, name, flags) for file, name in zip(files, names, strict=True)]
    folders = list(dict.fromkeys(config.output_dir for config in configs))
    if len(folders) > 1:
        raise UserError(
            f"sweep: the files name {len(folders)} output_dir, {', '.join(folders)}: the runs of a "
            "sweep stand in one; give --output_dir"
        )
    return Sweep(Path(folders[0]), tuple(configs))


def _configuration(file: str, name: str, flags: Sequence[str]) -> TrainConfig:
    """What to train, under the name of its file."""
    config = parse(TrainConfig, ["--config", file, *flags], "facegen sweep", "A sweep.")
    if config.dry_run:
        raise UserError(
            f"--dry_run: a sweep trains; look at it with: facegen train --config {file} --dry_run"
        )
    if config.resume is not None:
        raise UserError(
            f"--resume {config.resume}: a sweep resumes what is in its output_dir by itself; leave "
            "it out"
        )
    if config.name is not None:
        raise UserError(
            f"name {config.name}: the runs of a sweep are named after their files, this one "
            f"{name}; leave it out"
        )
    config.model_options()
    models = Path(config.output_dir) / name  # by default, not over the pretrained models
    if config.saved_models_dir != TrainConfig.saved_models_dir:
        models = Path(config.saved_models_dir) / name
    return dataclasses.replace(
        config,
        name=name,
        saved_models_dir=str(models),
        wandb_group=config.wandb_group or "sweep",
    )
