"""Places: what names one of the hub, the default cache, checks of folders that a user names."""

import os
import tempfile
from pathlib import Path

from facegen_keras.errors import UserError

HUB_PREFIX = "hf:"  # how the name of a model or data set of the Hugging Face Hub begins


def cache_folder(cache_dir: str | os.PathLike | None) -> Path:
    """The cache folder: the argument, else `FACEGEN_CACHE`, else `facegen_keras` in
    `XDG_CACHE_HOME` or `~/.cache`.
    """
    chosen = cache_dir or os.environ.get("FACEGEN_CACHE")
    if chosen:
        return Path(os.path.expanduser(chosen))
    shared = Path(os.environ.get("XDG_CACHE_HOME", ""))  # which counts only if it is absolute
    return (
        shared if shared.is_absolute() else Path(os.path.expanduser("~/.cache"))
    ) / "facegen_keras"


def check_output_dir(output_dir: str, source: str) -> None:
    """Refuse to write pictures into the folder of the photos.

    Args:
        output_dir: Where pictures are written.
        source: Where photos are read.

    Raises:
        UserError: Both are the same folder.
    """
    if os.path.isdir(source) and os.path.isdir(output_dir) and os.path.samefile(source, output_dir):
        below = os.path.join(output_dir, "output")
        raise UserError(
            f"output_dir {output_dir}: this is the folder of the photos, and its pictures would be "
            f"read as photos; give another, such as {below}"
        )


def check_writable(option: str, folder: str) -> None:
    """Check before a training that a folder can be written to, or created, at its end.

    Args:
        option: Name of the option that gave the folder, for the error.
        folder: May not exist yet.

    Raises:
        UserError: It cannot be written to.
    """
    place = Path(folder)
    try:
        while not place.exists():
            place = place.parent
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        raise UserError(
            f"{option} {folder}: {error.strerror or error}; give a folder that can be written to"
        ) from None
