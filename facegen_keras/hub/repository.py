"""The name of a repository of the hub; checking it needs no Keras."""

import re

from facegen_keras.errors import UserError

_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")


def check_repository(repository: str) -> None:
    """Refuse anything but `owner/name`.

    Raises:
        UserError: It has another form.
    """
    if not _REPOSITORY.fullmatch(repository) or ".." in repository:
        raise UserError(f"repository {repository!r}: expected owner/name")
