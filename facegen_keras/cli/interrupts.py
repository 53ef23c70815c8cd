"""Ctrl-C ends a command at once, also in the first seconds, where Python may lose it."""

import _thread
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

CODE = 130  # 128 and the number of the signal, as in a shell
AGAIN = 0.05  # seconds


@contextlib.contextmanager
def ending_at_once() -> Iterator[None]:
    """Let Ctrl-C end the process without an exception, which an import may turn into another.

    For a block in which nothing is open that would be lost. Elsewhere than in the main thread, and
    where someone else handles Ctrl-C, nothing changes.
    """
    if not _is_ours():
        yield
        return
    with contextlib.ExitStack() as cleanup:
        stderr = 2
        with contextlib.suppress(OSError):  # there is none
            stderr = os.dup(2)  # the block may hold it back
            cleanup.callback(os.close, stderr)

        def end(number: int, frame: Any) -> None:
            with contextlib.suppress(OSError):
                os.write(stderr, b"interrupted\n")
            os._exit(CODE)

        before = signal.signal(signal.SIGINT, end)
        cleanup.callback(signal.signal, signal.SIGINT, before)
        yield


@contextlib.contextmanager
def never_swallowed() -> Iterator[None]:
    """Repeat a Ctrl-C that comes in a destructor or a callback: Python cannot raise it there."""
    before = sys.unraisablehook

    def hook(found: Any) -> None:
        if _is_ours() and issubclass(found.exc_type, KeyboardInterrupt):
            later = threading.Timer(AGAIN, _interrupt)  # here it would be lost too
            later.daemon = True
            later.start()
        else:
            before(found)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before


def _interrupt() -> None:
    if hasattr(signal, "pthread_kill"):  # also wakes a main thread that waits for something
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    else:
        _thread.interrupt_main()


def _is_ours() -> bool:
    main = threading.current_thread() is threading.main_thread()
    return main and signal.getsignal(signal.SIGINT) is signal.default_int_handler
