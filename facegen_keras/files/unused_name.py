"""A file beside the earlier ones of its name: nothing is overwritten."""

import filecmp
import itertools
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path


def numbered(path: Path) -> Iterator[Path]:
    """`path`, then `<stem>_2`, `<stem>_3` ... beside it, without an end."""
    yield path
    for count in itertools.count(2):
        yield path.with_stem(f"{path.stem}_{count}")


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
        for name in numbered(path):
            if not name.exists():
                return temporary.rename(name)
            if filecmp.cmp(temporary, name, shallow=False):
                return name
        raise AssertionError("unreachable")
    finally:
        temporary.unlink(missing_ok=True)
