"""Before Keras is imported: backends that cannot be had, and a quiet TensorFlow."""

import importlib.util
import json
import os
import subprocess
import sys

import pytest

from facegen_keras import startup
from facegen_keras.errors import UserError


@pytest.fixture
def only_tensorflow(tmp_path, monkeypatch):
    """A machine with TensorFlow alone, and no configuration of Keras yet."""
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: object() if name == "tensorflow" else None
    )
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.delenv("KERAS_BACKEND", raising=False)


def test_the_default_is_fine(only_tensorflow):
    startup.check_backend()


def test_a_backend_that_is_not_installed(only_tensorflow, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    message = (
        "^KERAS_BACKEND jax: the package jax is not installed; pip install jax, or set "
        "KERAS_BACKEND=tensorflow$"
    )
    with pytest.raises(UserError, match=message):
        startup.check_backend()


def test_a_backend_of_keras_own_configuration(only_tensorflow, tmp_path, monkeypatch):
    path = tmp_path / "keras.json"
    path.write_text(json.dumps({"backend": "openvino"}))
    with pytest.raises(UserError, match=r"keras\.json: backend openvino: expected one of "):
        startup.check_backend()
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")  # which wins
    startup.check_backend()
    monkeypatch.delenv("KERAS_BACKEND")
    path.write_text("{damaged")  # Keras passes it over
    startup.check_backend()


NOTE = "2026-01-01 I0000 cudart_stub.cc:31] Could not find cuda drivers on your machine"


def held_back(code):
    """The stderr of a fresh process that writes a note and runs `code` inside `quiet()`."""
    program = f"""
import os, sys
from facegen_keras.startup import LOG_LEVEL, quiet
before = dict(os.environ)
with quiet():
    os.write(2, b"{NOTE}\\n")
    inside = os.environ.get(LOG_LEVEL)
    {code}
os.write(2, b"afterwards\\n")
assert dict(os.environ) == before and inside
"""
    environment = {k: v for k, v in os.environ.items() if k != startup.LOG_LEVEL}
    return subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True
    )


def test_notes_are_left_out_and_nothing_else():
    ended = held_back("os.write(2, b'a real problem\\n')")
    assert (ended.returncode, ended.stderr) == (0, "a real problem\nafterwards\n")


def test_an_exception_is_told_with_what_was_written_before_it():
    ended = held_back("os.write(2, b'a real problem\\n'); 1 / 0")
    assert ended.returncode == 1
    assert NOTE not in ended.stderr
    assert ended.stderr.startswith("a real problem\nTraceback")
    assert ended.stderr.endswith("ZeroDivisionError: division by zero\n")


def test_keras_is_imported_without_a_word(unmeasured):
    """Also afterwards, when TensorFlow first looks for a GPU."""
    environment = {k: v for k, v in unmeasured().items() if k != startup.LOG_LEVEL}
    code = """
from facegen_keras.startup import quiet
with quiet():
    import keras
print(keras.ops.ones(2).shape)
"""
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env={**environment, "KERAS_BACKEND": "tensorflow"},
        capture_output=True,
        text=True,
    )
    assert (ended.stdout, ended.stderr) == ("(2,)\n", "")


def test_a_tensorflow_that_is_there_is_left_alone(monkeypatch, capfd):
    monkeypatch.setitem(sys.modules, "tensorflow", object())
    with startup.quiet():
        os.write(2, NOTE.encode())
    assert capfd.readouterr().err == NOTE
