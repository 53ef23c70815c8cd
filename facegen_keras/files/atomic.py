"""Files that appear whole or not at all: a power cut leaves what was there before."""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from facegen_keras.errors import UserError


@contextlib.contextmanager
def replacing(path: str | os.PathLike, advice: str | None = None) -> Iterator[Path]:
    """A temporary name beside `path` that becomes `path` when the block ends well.

    What is written there reaches the disk before the name changes, and the name as well.

    Args:
        path: The file to be; its folder is made if it is missing.
        advice: End of the message when writing fails; by default what became of an older file.

    Raises:
        UserError: The disk is full, or the place cannot be written to.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(4)}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except (OSError, RuntimeError) as error:  # h5py tells a full disk by either
        reason = getattr(error, "strerror", None) or str(error).strip() or type(error).__name__
        state = "the file that was there is untouched" if path.exists() else "nothing was written"
        raise UserError(
            f"{path}: could not be written ({reason.splitlines()[0]}); {advice or state}"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write a small file, in UTF-8, whole or not at all; errors as of `replacing`."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _sync_folder(folder: Path) -> None:
    """Make a rename survive a power cut; not every system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
