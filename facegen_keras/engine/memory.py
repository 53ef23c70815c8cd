"""Memory for training on a CPU: how much there is, and faster use of it."""

import contextlib
import ctypes
import sys
from pathlib import Path

MEMINFO = Path("/proc/meminfo")
CGROUP = Path("/sys/fs/cgroup")  # version 2

# Parameters of `mallopt`, from glibc's malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4
_LARGEST_INT = 2**31 - 1


def keep_freed_memory() -> bool:
    """Let this process keep the memory it frees, to use it again without asking the system.

    glibc maps every large block from the system and gives it back when it is freed. A training step
    on a CPU allocates and frees its activations and gradients, hundreds of megabytes, so that the
    system clears and maps the same pages at every step. The process then never becomes smaller
    again, which is fine for a training and is why this is not done on import.

    Returns:
        Whether the allocator is glibc's and took the settings. Elsewhere nothing happens.
    """
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "gnu_get_libc_version"):  # musl has no mallopt
        return False
    return bool(libc.mallopt(_M_MMAP_MAX, 0) and libc.mallopt(_M_TRIM_THRESHOLD, _LARGEST_INT))


def available_memory() -> int | None:
    """Bytes that this process can still have, by Linux and the limit of a container; None where
    nobody says.
    """
    found = []
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = MEMINFO.read_text(encoding="ascii").splitlines()
        line = next(line for line in lines if line.startswith("MemAvailable:"))
        found.append(int(line.split()[1]) * 1024)
    with contextlib.suppress(OSError, ValueError):  # "max" is no limit, and no number
        limit = int((CGROUP / "memory.max").read_text())
        used = int((CGROUP / "memory.current").read_text())
        found.append(limit - (used - _file_cache()))
    return max(0, min(found)) if found else None


def _file_cache() -> int:
    """Bytes of files that were read, which a container gives back where they are needed."""
    with contextlib.suppress(OSError, ValueError):
        words = (CGROUP / "memory.stat").read_text(encoding="ascii").split()
        return int(dict(zip(words[::2], words[1::2], strict=False)).get("inactive_file", 0))
    return 0
