"""`train`: a model from a folder of photos."""

import contextlib
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from facegen_keras.errors import UserError
from facegen_keras.runs.config import TrainConfig
from facegen_keras.runs.dry_run import dry_run
from facegen_keras.runs.folder import find_run
from facegen_keras.runs.train import train

CONFIG = TrainConfig


def expand(argv: Sequence[str]) -> list[str]:
    """Put the configuration of a run to resume before the flags, which override it."""
    flags = list(argv)
    resume = _setting(flags, "resume")
    if resume is None:
        return flags
    folder = find_run(resume, _setting(flags, "output_dir") or TrainConfig.output_dir)
    return ["--config", str(folder / "config.yaml"), *flags, "--resume", str(folder)]


def run(config: TrainConfig) -> int:
    """Train, or describe what training would be."""
    if config.model is None:
        config.model_options()  # raises the error that lists the families
    if config.dry_run:
        with contextlib.redirect_stdout(sys.stderr):  # keep stdout pure YAML
            text = dry_run(config)
        print(text)
    else:
        train(config)
    return 0


def _setting(flags: list[str], name: str) -> str | None:
    """An option as the flags say it, or else the last file of `--config` that does."""
    given = _values_of(flags, f"--{name}")
    if not given:
        files = [_read(file) for file in _values_of(flags, "--config")]
        given = [str(file[name]) for file in files if file.get(name) is not None]
    return given[-1] if given else None


def _values_of(flags: list[str], flag: str) -> list[str]:
    """What stands behind each `--flag value` or `--flag=value`."""
    values = []
    for word, after in itertools.zip_longest(flags, flags[1:]):
        if word == flag and (after is None or after.startswith("--")):
            raise UserError(f"{flag}: expected a value after it")
        if word == flag:
            values.append(after)
        elif word.startswith(f"{flag}="):
            values.append(word.partition("=")[2])
    return values


def _read(file: str) -> dict:
    """A configuration file; one that cannot be read is empty here and refused by the parser."""
    with contextlib.suppress(OSError, ValueError, yaml.YAMLError):
        content = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
        if isinstance(content, dict):
            return content
    return {}
