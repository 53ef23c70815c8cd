"""Ctrl-C in the first seconds, where Python may lose it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from facegen_keras.cli.interrupts import CODE, never_swallowed


def test_ctrl_c_while_a_command_is_imported_ends_it(tmp_path):
    (tmp_path / "keras.py").write_text(
        """
import time
print("importing", flush=True)
for _ in range(600):
    try:
        time.sleep(0.1)
    except BaseException:  # as imports of compiled packages do
        pass
"""
    )
    root = Path(__file__).resolve().parents[2]
    process = subprocess.Popen(
        [sys.executable, "-m", "facegen_keras.cli", "evaluate", "--images", ".", "--metrics", "is"],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{root}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stdout.readline() == "importing\n"
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    _, error = process.communicate(timeout=30)
    assert time.monotonic() - began < 5
    assert (process.returncode, error) == (CODE, "interrupted\n")


def test_ctrl_c_in_a_destructor_is_raised_after_it():
    class Noisy:
        def __del__(self):
            raise KeyboardInterrupt

    def work():
        noisy = Noisy()
        del noisy
        time.sleep(30)

    began = time.monotonic()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), never_swallowed():
            work()
    finally:
        signal.signal(signal.SIGINT, before)
    assert time.monotonic() - began < 10
