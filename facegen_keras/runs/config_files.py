"""The configurations that come with the package, by name: `dcgan_64` is `configs/dcgan_64.yaml`."""

import contextlib
import difflib
import importlib.metadata
import os
from pathlib import Path
from typing import Any

import yaml

FOLDER = "configs"
SUFFIX = ".yaml"


def configurations() -> dict[str, Path]:
    """The files by name: those of the repository, or where `pip install` put them."""
    beside = Path(__file__).resolve().parents[2] / FOLDER
    if beside.is_dir():
        found = list(beside.glob(f"*{SUFFIX}"))
    else:
        found = []
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            files = importlib.metadata.files("facegen-keras") or []
            found = [
                Path(os.path.normpath(str(file.locate())))
                for file in files
                if file.suffix == SUFFIX and file.parent.name == FOLDER
            ]
    return {path.stem: path for path in sorted(found) if path.is_file()}


def find_config(given: str) -> Path | None:
    """The file that `--config` means: a path, or the name of one that comes with the package.

    Returns:
        None where there is no such file.
    """
    path = Path(os.path.expanduser(given))  # an unknown ~user stays as it is
    if os.path.exists(path):
        return path
    if path.parent.name in ("", FOLDER) and path.suffix in ("", SUFFIX):
        return configurations().get(path.name.removesuffix(SUFFIX))
    return None


def similar_config(given: str) -> str:
    """A suggestion for a file that is not there, as the end of a message; "" without one.

    The files that the first version of this project had are called `config_ld128_beta1.yaml`; the
    same settings are in those that end alike.
    """
    known = configurations()
    name = Path(given).name.removesuffix(SUFFIX)
    end = name.removeprefix("config_")
    alike = [other for other in known if other == end or other.endswith(f"_{end}")]
    alike += difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if alike:
        return f"; did you mean {FOLDER}/{alike[0]}{SUFFIX}?"
    return ""


def read_config(path: Path) -> dict[str, Any]:
    """The entries of a file that is known to be right."""
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))
