"""The one exception that means "the user can fix this", and the check for optional packages."""

import importlib
from types import ModuleType


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
        raise UserError(
            f"the package {module.partition('.')[0]!r} is needed for this and is not installed; "
            f"run: pip install '.[{extra}]' in the repository's folder"
        ) from error


def printable(name: str) -> str:
    r"""Return a name as one line that does nothing to a terminal: `\\n`, `\\x1b`, `\\udcff`."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in name
    )
