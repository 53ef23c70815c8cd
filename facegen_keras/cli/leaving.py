"""How a process ends while others, which train with it, wait for it.

JAX ends a process only after all the others have come to their end. Where one of them fails, it has
to go without them, and they notice that it has gone.
"""

import contextlib
import os
import sys
import time
import traceback
from typing import NoReturn

# What JAX says where a process has lost the others; it raises it as ValueError, RuntimeError ...
LOST = ("Gloo", "gloo", "NCCL", "coordination service", "UNAVAILABLE", "heartbeat", "DEADLINE")
LOST_CODE = 75  # EX_TEMPFAIL: starting again helps
LAST_TO_LEAVE = 1.0  # seconds that process 0 waits, where the others meet


def has_companions() -> bool:
    """Whether this process is one of several that train together."""
    return _index() is not None


def report(error: Exception) -> int:
    """Say why this process cannot go on, below a progress bar, and return its exit code."""
    text = " ".join(str(error).split())
    if not any(word in text for word in LOST):
        traceback.print_exception(error)
        return 1
    print(
        f"\nerror: another process of this training has ended ({text[:160]}); the last checkpoint "
        "is kept: start all processes again, with --resume",
        file=sys.stderr,
    )
    return LOST_CODE


def leave(code: int) -> NoReturn:
    """End this process now."""
    if _index() == 0:  # so that the others can say what they have to say
        time.sleep(LAST_TO_LEAVE)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _index() -> int | None:
    """The number of this process among several; None where it is alone."""
    distribution = sys.modules.get("facegen_keras.engine.distribution")  # Keras comes with it
    if distribution is None or distribution.member().count == 1:
        return None
    return distribution.member().index
