"""Import Keras on a backend this package has, without the notes that TensorFlow writes to stderr.

Imported before all else. TensorFlow 2.21 logs a few lines from C++ before its log level is read,
so that no setting silences them. In a program whose errors are one line on stderr they are noise;
a real problem is not.
"""

import contextlib
import glob
import importlib.util
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator

from facegen_keras.errors import UserError

BACKENDS = ("tensorflow", "jax", "torch")
_NOTES = re.compile(
    rb"All log messages before absl::InitializeLog|oneDNN custom operations are on|"
    rb"Could not find cuda drivers|This TensorFlow binary is optimized|To enable the following inst"
)


def _check_backend() -> None:
    """Refuse a backend that nothing here runs on; Keras would fail with a traceback."""
    given = os.environ.get("KERAS_BACKEND")
    backend, source = (given, "KERAS_BACKEND") if given else _configured()
    if backend not in BACKENDS:
        reason = f"expected one of {', '.join(BACKENDS)}"
    elif importlib.util.find_spec(backend) is None:
        others = [name for name in BACKENDS if importlib.util.find_spec(name)]
        instead = f", or set KERAS_BACKEND={others[0]}" if others else ""
        reason = f"the package {backend} is not installed; pip install {backend}{instead}"
    else:
        return
    sys.excepthook = _end_in_one_line  # the command line cannot catch it: it is imported later
    raise UserError(f"{source} {backend}: {reason}")


def _configured() -> tuple[str, str]:
    """The backend that Keras takes where `KERAS_BACKEND` is not set, and where it is named."""
    home = os.environ.get("KERAS_HOME") or os.path.join(os.path.expanduser("~"), ".keras")
    path = os.path.join(home, "keras.json")
    with contextlib.suppress(OSError, ValueError, AttributeError), open(path) as file:
        return json.load(file).get("backend", BACKENDS[0]), f"{path}: backend"
    return BACKENDS[0], "the default backend"


def _end_in_one_line(kind: type, error: BaseException, trace: object) -> None:
    """End the program as `cli.main` does."""
    if not isinstance(error, UserError):
        sys.__excepthook__(kind, error, trace)
        return
    print(f"error: {error}", file=sys.stderr)
    sys.exit(2)


@contextlib.contextmanager
def _without_notes() -> Iterator[None]:
    """Hold file descriptor 2 back inside the block, then pass on all but the known notes."""
    if "tensorflow" in sys.modules:
        yield
        return
    if not glob.glob("/dev/nvidia*"):
        # Or TensorFlow reports, as an error, that a machine without a GPU has none.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        saved = os.dup(2)
    except OSError:  # no stderr to hold back
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            held.seek(0)
            for line in held:
                if not _NOTES.search(line):
                    os.write(2, line)


_check_backend()
with _without_notes():
    import keras  # noqa: F401
