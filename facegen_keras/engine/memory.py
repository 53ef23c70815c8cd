"""Faster memory for training on a CPU."""

import ctypes
import sys

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
