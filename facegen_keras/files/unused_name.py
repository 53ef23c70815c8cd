"""A file beside the earlier ones of its name: nothing is overwritten."""

import filecmp
import itertools
import secrets
from collections.abc import Callable
from pathlib import Path


def write_beside(path: Path, write: Callable[[Path], object]) -> Path:
    """Write a file as `path`, or as `<stem>_2`, `<stem>_3` ... where other content has that name.

    The same content is not written twice: the same command leaves the same files.

    Args:
        path: The name to begin with; its folder is created if it is missing.
        write: Writes the file it is given, whole or not at all.

    Returns:
        The file that has the content now.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(4)}{path.suffix}")
    try:
        write(temporary)
        for count in itertools.count(1):
            name = path if count == 1 else path.with_stem(f"{path.stem}_{count}")
            if not name.exists():
                return temporary.rename(name)
            if filecmp.cmp(temporary, name, shallow=False):
                return name
        raise AssertionError("unreachable")
    finally:
        temporary.unlink(missing_ok=True)
