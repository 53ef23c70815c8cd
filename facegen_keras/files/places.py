"""Where files go: the cache folder, and checks of the folders that a user names."""

import os
import tempfile
from pathlib import Path

from facegen_keras.errors import UserError


def cache_folder(cache_dir: str | os.PathLike | None) -> Path:
    """Return the argument, else `FACEGEN_CACHE`, else `~/.cache/facegen_keras`."""
    chosen = cache_dir or os.environ.get("FACEGEN_CACHE") or "~/.cache/facegen_keras"
    return Path(chosen).expanduser()


def check_output_dir(output_dir: str, source: str) -> None:
    """Refuse to write pictures where photos are read.

    Raises:
        UserError: Both are one folder.
    """
    if os.path.isdir(source) and os.path.isdir(output_dir) and os.path.samefile(source, output_dir):
        below = os.path.join(output_dir, "output")
        raise UserError(
            f"output_dir {output_dir}: the folder of the photos, among which its pictures would be "
            f"read; give another, such as {below}"
        )


def check_writable(option: str, folder: str) -> None:
    """See that a folder can be written to at the end of a training, or be made then.

    Raises:
        UserError: It cannot; names the option.
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
