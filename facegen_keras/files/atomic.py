"""Write files whole or not at all: a power cut leaves the previous file."""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from facegen_keras.errors import UserError


@contextlib.contextmanager
def replacing(path: str | os.PathLike, advice: str | None = None) -> Iterator[Path]:
    """A temporary name beside `path`, renamed to `path` when the block ends without an error.

    The content reaches the disk before the rename, and the rename before this returns.

    Args:
        path: The file to write; its folder is created if it is missing.
        advice: End of the message when writing fails; by default the state of an older file.

    Raises:
        UserError: The disk is full, or the folder is not writable.
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
    except (OSError, RuntimeError) as error:  # h5py raises either for a full disk
        reason = getattr(error, "strerror", None) or str(error).strip() or type(error).__name__
        state = "the file that was there is untouched" if path.exists() else "nothing was written"
        raise UserError(
            f"{path}: could not be written ({reason.splitlines()[0]}); {advice or state}"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write a small UTF-8 file, whole or not at all; the errors are those of `replacing`."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _sync_folder(folder: Path) -> None:
    """Make a rename survive a power cut, on systems that can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
