"""Before Keras is imported: a backend that this package has, and a quiet TensorFlow.

The command line does both. Importing the package does neither: a program that imports it keeps its
stderr as it is, and learns of a wrong backend from the first name that needs Keras. In a notebook:

    with facegen_keras.startup.quiet():
        import keras
"""

import contextlib
import glob
import importlib.util
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator

from facegen_keras.errors import UserError

BACKENDS = ("tensorflow", "jax", "torch")
LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
_NOTES = re.compile(
    rb"All log messages before absl::InitializeLog|oneDNN custom operations are on|"
    rb"Could not find cuda drivers|This TensorFlow binary is optimized|To enable the following inst"
)


def check_backend() -> None:
    """Refuse a backend that nothing here runs on; Keras would fail with a traceback.

    Raises:
        UserError: `KERAS_BACKEND`, or else Keras's own configuration file, names a backend that is
            not one of `BACKENDS` or not installed.
    """
    backend, source = _chosen()
    if backend not in BACKENDS:
        reason = f"expected one of {', '.join(BACKENDS)}"
    elif importlib.util.find_spec(backend) is None:
        others = [name for name in BACKENDS if importlib.util.find_spec(name)]
        instead = f", or set KERAS_BACKEND={others[0]}" if others else ""
        reason = f"the package {backend} is not installed; pip install {backend}{instead}"
    else:
        return
    raise UserError(f"{source} {backend}: {reason}")


def backend_name() -> str:
    """The backend that Keras takes when it is imported."""
    return _chosen()[0]


def _chosen() -> tuple[str, str]:
    given = os.environ.get("KERAS_BACKEND")
    return (given, "KERAS_BACKEND") if given else _configured()


def _configured() -> tuple[str, str]:
    """The backend that Keras takes where `KERAS_BACKEND` is not set, and where it is named."""
    home = os.environ.get("KERAS_HOME") or os.path.join(os.path.expanduser("~"), ".keras")
    path = os.path.join(home, "keras.json")
    with contextlib.suppress(OSError, ValueError, AttributeError), open(path) as file:
        return json.load(file).get("backend", BACKENDS[0]), f"{path}: backend"
    return BACKENDS[0], "the default backend"


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Import Keras inside this block to be spared the notes that TensorFlow writes to stderr.

    TensorFlow 2.21 logs a few lines from C++ before it reads its log level, so that no setting
    silences them. The block holds file descriptor 2 back and passes everything but the known notes
    on when it ends. Nothing stays changed, and nothing happens if TensorFlow is imported already.
    """
    if "tensorflow" in sys.modules:
        yield
        return
    held = None
    try:
        with _log_level(), held_stderr() as held:
            yield
    finally:
        pass_on(line for line in held or () if not _NOTES.search(line))


@contextlib.contextmanager
def held_stderr() -> Iterator[list[bytes]]:
    """Hold back what is written to file descriptor 2, by C++ code too, until the block ends.

    Yields:
        A list, empty in the block, that has the lines once it has ended.
    """
    lines: list[bytes] = []
    try:
        stderr = os.dup(2)
    except OSError:  # there is no stderr to hold back
        yield lines
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield lines
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            held.seek(0)
            lines += held


def pass_on(lines: Iterable[bytes]) -> None:
    """Write lines that were held back to file descriptor 2."""
    for line in lines:
        os.write(2, line)


@contextlib.contextmanager
def _log_level() -> Iterator[None]:
    """On a machine without a GPU, TensorFlow would report that there is none as an error.

    TensorFlow reads the level once, while it is imported.
    """
    if LOG_LEVEL in os.environ or glob.glob("/dev/nvidia*"):
        yield
        return
    os.environ[LOG_LEVEL] = "3"
    try:
        yield
    finally:
        del os.environ[LOG_LEVEL]
