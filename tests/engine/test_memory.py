"""Memory that a training frees is used again without the system's help."""

import platform
import sys

import pytest

from facegen_keras.engine import memory

FAULTS = """
import ctypes, resource
from facegen_keras.engine.memory import keep_freed_memory

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        block = libc.malloc(64 << 20)
        libc.memset(block, 1, 64 << 20)
        libc.free(block)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

asked = faults()
assert keep_freed_memory() is True
faults()  # the first time the memory is new
print(asked, faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's allocator has this")
def test_freed_memory_is_not_asked_for_again(run_python):
    asked, kept = map(int, run_python(FAULTS).split())
    assert asked > 500
    assert kept < asked / 50


@pytest.mark.parametrize("name", ["darwin", "win32"])
def test_other_systems_are_left_alone(monkeypatch, name):
    monkeypatch.setattr(sys, "platform", name)
    monkeypatch.setattr(memory.ctypes, "CDLL", None)  # not even asked
    assert memory.keep_freed_memory() is False


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: object())
    assert memory.keep_freed_memory() is False


def test_a_refusal_is_told(monkeypatch):
    class Libc:
        gnu_get_libc_version = None
        asked = ()

        def mallopt(self, parameter, value):
            self.asked += ((parameter, value),)
            return int(parameter == -4)

    libc = Libc()
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: libc)
    assert memory.keep_freed_memory() is False
    assert libc.asked == ((-4, 0), (-1, 2**31 - 1))


def test_files_that_were_read_do_not_count_as_used(monkeypatch, tmp_path):
    for name, text in (
        ("memory.max", "1000"),
        ("memory.current", "900"),
        ("memory.stat", "anon 300\nfile 600\ninactive_file 500\n"),
    ):
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "absent")
    assert memory.available_memory() == 600
    (tmp_path / "memory.max").write_text("max")
    assert memory.available_memory() is None
