"""What is said of a backend that cannot be had, before Keras is imported."""

import importlib.util
import json
import sys

import pytest

from facegen_keras import startup
from facegen_keras.errors import UserError


@pytest.fixture(autouse=True)
def only_tensorflow(tmp_path, monkeypatch):
    """A machine with TensorFlow alone, and no configuration of Keras yet."""
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: object() if name == "tensorflow" else None
    )
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.delenv("KERAS_BACKEND", raising=False)


def test_the_default_is_fine():
    startup._check_backend()


def test_a_backend_that_is_not_installed(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    message = (
        "^KERAS_BACKEND jax: the package jax is not installed; pip install jax, or set "
        "KERAS_BACKEND=tensorflow$"
    )
    with pytest.raises(UserError, match=message):
        startup._check_backend()


def test_a_backend_of_keras_own_configuration(tmp_path, monkeypatch):
    path = tmp_path / "keras.json"
    path.write_text(json.dumps({"backend": "openvino"}))
    with pytest.raises(UserError, match=r"keras\.json: backend openvino: expected one of "):
        startup._check_backend()
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")  # which wins
    startup._check_backend()
    monkeypatch.delenv("KERAS_BACKEND")
    path.write_text("{damaged")  # Keras passes it over
    startup._check_backend()
