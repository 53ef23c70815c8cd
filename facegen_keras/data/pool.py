"""Decoding in parallel: worker processes that hold Pillow, not Keras.

Threads would wait for each other: for a 64x64 face most of the time goes into Python code around
the decoder, which holds the interpreter lock. `multiprocessing` would run the user's script again
in every worker (or fork a process that has TensorFlow's threads in it). So each worker is a plain
`python` whose stdin brings tasks and whose stdout takes records back; the pixels go straight from
the worker into the cache file.
"""

import contextlib
import os
import pickle
import queue
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed
from pathlib import Path

from facegen_keras.data.decode import Record, Settings
from facegen_keras.data.sources import Source
from facegen_keras.data.worker import Task, process
from facegen_keras.errors import UserError

CHUNK = 128  # images a task: enough to forget the cost of a task, few enough for a lively bar
KILLED = -9  # the return code of a process that SIGKILL has ended
ALONE_BELOW = 384  # images for which starting workers takes longer than decoding

# Bare modules stand in for both packages: `facegen_keras.data` would import NumPy and Keras.
BOOTSTRAP = """
import sys, types
for name, path in (("facegen_keras", sys.argv[1]), ("facegen_keras.data", sys.argv[2])):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [path]
import signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
from facegen_keras.data.worker import serve
serve()
"""


def crew_size(workers: int | None) -> int:
    """Return the number of worker processes: as given, else one per core this process may use.

    Raises:
        UserError: Less than one is given.
    """
    if workers is not None:
        if not isinstance(workers, int) or workers < 1:  # type: ignore[redundant-expr]
            raise UserError(f"workers {workers}: must be 1 or more")
        return workers
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Worker:
    """One worker process, restarted after a decoder has taken it down."""

    def __init__(self) -> None:
        self._process: subprocess.Popen | None = None
        self._stopped = False

    def ask(self, task: Task) -> list[Record]:
        """Return the records of a task.

        Raises:
            EOFError: The worker died over it; with an argument if the system killed it.
            CancelledError: `stop` was called meanwhile.
            OSError: The worker could not write the pixels.
        """
        if self._stopped:
            raise CancelledError
        if self._process is None:
            here = Path(__file__).parent
            self._process = subprocess.Popen(
                # -P: a random.py in the current folder is not Python's.
                [sys.executable, "-P", "-c", BOOTSTRAP, str(here.parent), str(here)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # libpng and libjpeg complain there about odd files
            )
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            pickle.dump(task, stdin, protocol=pickle.HIGHEST_PROTOCOL)
            stdin.flush()
            answer: list[Record] | OSError = pickle.load(stdout)
        except (EOFError, BrokenPipeError, pickle.UnpicklingError):
            if self._stopped:
                raise CancelledError from None
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(1)  # it may be still on its way out
            killed = self._process.returncode == KILLED
            self.close()
            raise EOFError(*["killed"] if killed else []) from None
        if isinstance(answer, OSError):
            raise answer
        return answer

    def stop(self) -> None:
        """End a task that another thread is waiting for, and all later ones."""
        self._stopped = True
        if self._process is not None:
            self._process.kill()

    def close(self) -> None:
        """End the process and its pipes."""
        if self._process is None:
            return
        self._process.kill()
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        with contextlib.suppress(BrokenPipeError):  # of a task that was still in the buffer
            stdin.close()
        stdout.close()
        self._process.wait()
        self._process = None


def _ask_safely(worker: _Worker, task: Task) -> list[Record]:
    """Like `ask`, but a file that takes the worker down is refused instead of ending the run."""
    try:
        return worker.ask(task)
    except EOFError as error:
        if len(task.items) == 1 and error.args:  # for want of memory; not the fault of the image
            return [Record("unreadable", "the system killed its decoder", passing=True)]
        if len(task.items) == 1:
            return [Record("unreadable", "the decoder crashed on it")]
    row_bytes = task.settings.resolution**2 * 3
    records = []
    for position, item in enumerate(task.items):
        single = task._replace(items=[item], offset=task.offset + position * row_bytes)
        records += _ask_safely(worker, single)
    return records


def decode_range(
    source: Source,
    start: int,
    stop: int,
    settings: Settings,
    output: str | None,
    offset: int,
    workers: int,
    advance: Callable[[int], object],
) -> list[Record]:
    """Decode the candidates `start:stop` of a source and return their records in order.

    Args:
        source: The listed source.
        start: First candidate.
        stop: End of the range, exclusive.
        settings: Size and crop of the pixels.
        output: File that receives the pixels, or `None`.
        offset: Byte of `output` where candidate `start` goes; the others follow it.
        workers: Number of processes; small ranges are decoded in this one.
        advance: Called with the number of images done since the last call.

    Raises:
        OSError: The output could not be written.
    """
    row_bytes = settings.resolution**2 * 3

    def task(first: int) -> Task:
        place = offset + (first - start) * row_bytes
        return source.task(first, min(first + CHUNK, stop), settings, output, place)

    firsts = range(start, stop, CHUNK)
    workers = min(workers, len(firsts))
    if workers == 1 or stop - start < ALONE_BELOW or not sys.executable:
        records = []
        for first in firsts:
            chunk = process(task(first))
            records += chunk
            advance(len(chunk))
        return records
    chunks = _in_parallel(task, firsts, workers, advance)
    return [record for first in firsts for record in chunks[first]]


def _in_parallel(
    task: Callable[[int], Task],
    firsts: Sequence[int],
    workers: int,
    advance: Callable[[int], object],
) -> dict[int, list[Record]]:
    """The records of the tasks by their first candidate, from this many worker processes."""
    idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
    crew = [_Worker() for _ in range(workers)]
    for worker in crew:
        idle.put(worker)

    def job(first: int) -> list[Record]:
        worker = idle.get()
        try:
            return _ask_safely(worker, task(first))
        finally:
            idle.put(worker)

    chunks: dict[int, list[Record]] = {}
    threads = ThreadPoolExecutor(workers)
    try:
        jobs = {threads.submit(job, first): first for first in firsts}
        for done in as_completed(jobs):
            chunks[jobs[done]] = done.result()
            advance(len(chunks[jobs[done]]))
    finally:
        for worker in crew:
            worker.stop()
        threads.shutdown(wait=True, cancel_futures=True)
        for worker in crew:
            worker.close()
    return chunks
