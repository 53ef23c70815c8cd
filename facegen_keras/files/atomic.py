"""Write files whole or not at all: a power cut leaves the previous file."""

import contextlib
import os
import re
import secrets
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from facegen_keras.errors import UserError

UNFLUSHED = ("Can't decrement id ref count", "file write failed")  # in what h5py prints
LEFTOVERS = ".{}.????????.part*"  # the temporary names of `replacing`, by the stem


@contextlib.contextmanager
def replacing(path: str | os.PathLike, advice: str | None = None) -> Iterator[Path]:
    """A temporary name beside `path`, renamed to `path` when the block ends without an error.

    The content reaches the disk before the rename, and the rename before this returns. The block
    may make a folder under the temporary name instead of a file, if no folder is at `path` then.

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
        with _told_once():
            yield temporary
        for part in [temporary, *temporary.rglob("*")]:
            if not part.is_dir():
                with open(part, "rb+") as file:
                    os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except (OSError, RuntimeError) as error:  # h5py raises either for a full disk
        reason = _reason(error)
        state = "the file that was there is untouched" if path.exists() else "nothing was written"
        raise UserError(f"{path}: could not be written ({reason}); {advice or state}") from error
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _reason(error: OSError | RuntimeError) -> str:
    """In a few words, such as `No space left on device`; HDF5 wraps the number in a long story."""
    found: BaseException | None = error
    while found is not None:  # closing the file may fail once more, with another story
        number = getattr(found, "errno", None) or re.search(r"errno = (\d+)", str(found))
        if number:
            return os.strerror(number if isinstance(number, int) else int(number[1]))
        found = found.__context__
    return (str(error).strip() or type(error).__name__).splitlines()[0]


@contextlib.contextmanager
def _told_once() -> Iterator[None]:
    """Leave out what HDF5 says of every object that it could not flush to a full disk.

    h5py cannot raise an error from a destructor, so it prints a traceback for each; the error of
    the write itself is raised as well.
    """
    print_error, print_ignored = sys.excepthook, sys.unraisablehook

    def error(kind: type[BaseException], value: BaseException, *rest: Any) -> None:
        if not any(words in str(value) for words in UNFLUSHED):
            print_error(kind, value, *rest)

    def ignored(found: Any) -> None:
        if not any(words in str(found.exc_value) for words in UNFLUSHED):
            print_ignored(found)

    sys.excepthook, sys.unraisablehook = error, ignored
    try:
        yield
    finally:
        sys.excepthook, sys.unraisablehook = print_error, print_ignored


def remove_leftovers(folder: str | os.PathLike, stem: str = "*") -> None:
    """Remove what a killed process was writing in a folder; only where nobody else may write now.

    Folders below it are left alone.

    Args:
        folder: Where.
        stem: Of the files that it was writing, as a pattern.
    """
    for path in Path(folder).glob(LEFTOVERS.format(stem)):
        if path.is_file():
            path.unlink(missing_ok=True)


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
