"""What every test shares: a quiet TensorFlow and a way to run code on another Keras backend."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "Agg")

import pytest

ROOT = Path(__file__).resolve().parent.parent
BACKENDS = ("tensorflow", "jax", "torch")


@pytest.fixture
def run_python() -> Callable[..., str]:
    """Run a piece of Python in a fresh process on the given backend and return its stdout."""

    def run(code: str, backend: str = "tensorflow", timeout: float = 300, **env: str) -> str:
        result = subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT), **env},
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        assert result.returncode == 0, f"{backend}:\n{result.stdout}\n{result.stderr[-4000:]}"
        return result.stdout

    return run
