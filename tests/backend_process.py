"""Runs pieces of Python on one Keras backend, one after the other (`on_backend` in `conftest.py`).

Importing Keras and its backend takes longer than most of what is run on it, so one process serves a
whole session. It reads a line of JSON for each piece, `{"code": ..., "env": {...}}`, and answers
with one, `{"stdout": ..., "error": ...}`. A piece has a namespace of its own; what it changes
elsewhere it has to put back.
"""

import contextlib
import io
import json
import os
import sys
import traceback
from unittest import mock


def answer(code: str, env: dict[str, str]) -> dict[str, str | None]:
    """What the piece prints, and its traceback if it fails."""
    said, error = io.StringIO(), None
    with contextlib.redirect_stdout(said), mock.patch.dict(os.environ, env):
        try:
            exec(compile(code, "<piece>", "exec"), {"__name__": "__main__"})
        except BaseException:
            error = traceback.format_exc()
    return {"stdout": said.getvalue(), "error": error}


def main() -> None:
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)  # what a library writes by itself is no answer
        for line in sys.stdin:
            print(json.dumps(answer(**json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
