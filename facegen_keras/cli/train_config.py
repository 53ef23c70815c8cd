"""The flags of `train`, and what `--resume` stands for."""

import contextlib
import itertools
from collections.abc import Sequence
from pathlib import Path

import yaml

from facegen_keras.data.sources import check_there
from facegen_keras.errors import UserError
from facegen_keras.runs.config import TrainConfig
from facegen_keras.runs.config_files import find_config
from facegen_keras.runs.find import find_run

CONFIG = TrainConfig


def expand(argv: Sequence[str]) -> list[str]:
    """Put the configuration of a run to resume before the flags, which override it.

    Raises:
        UserError: There is no such run, or it is of another family: its options would be refused
            one by one, and none of them was given.
    """
    flags = list(argv)
    resume = _setting(flags, "resume")
    if resume is None:
        return flags
    folder = find_run(resume, _setting(flags, "output_dir") or TrainConfig.output_dir)
    family, given = _read(str(folder / "config.yaml")).get("model"), _setting(flags, "model")
    if family and given and given != family:
        raise UserError(
            f"model {given}: {folder} was trained with {family}, which cannot change on resume; "
            "leave it out, or start a new run"
        )
    return ["--config", str(folder / "config.yaml"), *flags, "--resume", str(folder)]


def check(config: TrainConfig) -> None:
    """Refuse a training without family, and photos that are not there."""
    config.model_options()
    if not config.resume:  # its error says how to resume where they moved
        check_there(config.data_path)


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
        content = yaml.safe_load((find_config(file) or Path(file)).read_text(encoding="utf-8"))
        if isinstance(content, dict):
            return content
    return {}
