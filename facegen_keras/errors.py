"""The one exception that means "the user can fix this", and the check for optional packages."""

import importlib
import os
from collections.abc import Iterable
from types import ModuleType

_NO_MEMORY = ("RESOURCE_EXHAUSTED", "out of memory", "Out of memory", "can't allocate memory")


class UserError(ValueError):
    """A mistake in the input, in one line: what was given, what is allowed, what to do.

    The command line prints it to stderr and exits with 2; a notebook shows it as it is.
    """


def require(module: str, extra: str) -> ModuleType:
    """Import an optional package.

    Args:
        module: Name to import, such as `"datasets"`.
        extra: The extra of this package that installs it, such as `"hub"`.

    Raises:
        UserError: The package is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise not_installed(module, extra) from error


def not_installed(module: str, extra: str) -> UserError:
    """That an optional package is missing, and how to install it: as in `require`."""
    return UserError(
        f"the package {module.partition('.')[0]!r} is needed for this and is not installed; "
        f"run: pip install '.[{extra}]' in the repository's folder"
    )


def reason_of(error: BaseException, most: int = 160) -> str:
    """The first line of an error, at most so many characters of it, or the name of its kind."""
    lines = str(error).strip().splitlines()
    return lines[0][:most] if lines else type(error).__name__


def check_path(name: str, value: object) -> None:
    """Refuse what cannot name a file.

    Raises:
        UserError: It is neither a text nor a path.
    """
    if not isinstance(value, str | os.PathLike):
        raise UserError(f"{name} {value!r}: a {type(value).__name__}; expected the name of a file")


def check_several(name: str, value: object) -> None:
    """Refuse one number where several are expected.

    Raises:
        UserError: It cannot be gone through.
    """
    if not isinstance(value, Iterable):
        raise UserError(f"{name} {value!r}: expected several, such as [{value!r}]")


def check_whole(name: str, value: object, least: int = 1) -> None:
    """Refuse what is not a whole number from `least` on.

    Raises:
        UserError: It is not one.
    """
    if not _is_whole(value) or value < least:  # type: ignore[operator]
        raise UserError(f"{name} {value!r}: expected a whole number from {least} on")


def _is_whole(value: object) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or hasattr(value, "__index__")  # NumPy's


def is_out_of_memory(error: BaseException) -> bool:
    """Whether Python, NumPy or a backend could not get the memory that it asked for."""
    if isinstance(error, MemoryError):
        return True
    if type(error).__name__ in ("ResourceExhaustedError", "OutOfMemoryError"):
        return True
    text = str(error)
    return any(words in text for words in _NO_MEMORY)


def printable(name: str) -> str:
    r"""Return a name as one line that does nothing to a terminal: `\\n`, `\\x1b`, `\\udcff`."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in name
    )
