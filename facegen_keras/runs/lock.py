"""One process, or cluster of processes, trains a run: the lock in its folder.

The file `running.json` says who. Its owner renews it while it lives. On the owner's own machine
another process sees whether the owner is still there; from elsewhere (another node, a folder on
Google Drive) a lock that has not been renewed for `STALE` seconds counts as abandoned.
"""

import contextlib
import json
import os
import secrets
import socket
import threading
import time
from pathlib import Path
from typing import Any

from facegen_keras.errors import UserError
from facegen_keras.files.atomic import write_text

LOCK = "running.json"
RENEW = 20.0  # seconds
ATTEMPTS = 5  # to read a lock that is being written
STALE = 120.0  # seconds without a renewal after which an owner elsewhere is believed gone
ME = secrets.token_hex(8)  # tells processes apart where there is no /proc
JOB = "SLURM_JOB_ID"  # a job that was requeued keeps its number: its earlier start is over


class RunLock:
    """The lock of one run.

    Args:
        folder: The run's folder.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / LOCK
        self.taken_by: dict[str, Any] | None = None  # who holds it instead, after a long silence
        self._ended = threading.Event()
        self._renewal = threading.Thread(target=self._renew, daemon=True)

    def take(self) -> None:
        """Hold the lock until `release`, or until this process ends.

        Raises:
            UserError: Someone else holds it; says who, and what to do.
        """
        while True:
            try:
                with open(self.path, "x", encoding="utf-8") as file:
                    file.write(_text())
                break
            except FileExistsError:
                self._remove(check_unlocked(self.path.parent))
        self._renewal.start()

    def _remove(self, abandoned: dict[str, Any] | None) -> None:
        """Remove the lock of an owner who is gone, but not one that replaced it meanwhile."""
        aside = self.path.with_name(f".{LOCK}.{secrets.token_hex(4)}")
        try:
            os.rename(self.path, aside)
        except FileNotFoundError:
            return
        if _read(aside) != abandoned:
            with contextlib.suppress(FileExistsError):  # its owner has renewed it already
                os.link(aside, self.path)
        aside.unlink(missing_ok=True)

    def check_held(self) -> None:
        """Refuse to go on with a run that another process has taken over.

        Raises:
            UserError: This one was silent for so long (a suspended machine) that it was believed
                gone.
        """
        if self.taken_by is not None:
            owner = self.taken_by
            raise UserError(
                f"{self.path.parent}: process {owner['pid']} on {owner['host']} has taken this run "
                "over, since this one gave no sign of life; nothing more is written here"
            )

    def release(self) -> None:
        """Give the lock back."""
        self._ended.set()
        if self._renewal.is_alive():
            self._renewal.join()
        if _is_ours(_read(self.path)):
            self.path.unlink(missing_ok=True)

    def _renew(self) -> None:
        while not self._ended.wait(RENEW):
            owner = _read(self.path)
            if owner is not None and not _is_ours(owner):
                self.taken_by = owner
                return
            with contextlib.suppress(OSError, UserError):  # a full disk is told by the checkpoints
                write_text(self.path, _text())


def check_unlocked(folder: Path) -> dict[str, Any] | None:
    """Refuse a run that another process is training.

    Returns:
        The owner that is gone, or is this process; None where there is none.

    Raises:
        UserError: One is; says which, and what to do.
    """
    path = folder / LOCK
    owner = _read(path)
    if owner is None or _is_ours(owner):
        return owner
    age = time.time() - owner["renewed"]
    if owner["boot"] and owner["boot"] == _boot():
        is_alive, advice = _born(owner["pid"]) == owner["born"], ""
    else:
        requeued = owner["job"] is not None and owner["job"] == os.environ.get(JOB)
        is_alive = age < STALE and not requeued
        advice = f" (without a sign of life that is believed in {STALE - age:.0f} s)"
    if is_alive:
        raise UserError(
            f"{folder}: process {owner['pid']} on {owner['host']} is training this run, last seen "
            f"{age:.0f} s ago; wait until it has ended{advice}, or start a run of another name"
        )
    return owner


def _read(path: Path) -> dict[str, Any] | None:
    """The owner of a lock; None where there is none, or only half of one after all this time."""
    for _ in range(ATTEMPTS):
        try:
            owner = json.loads(path.read_text(encoding="utf-8"))
            return {name: owner[name] for name in _owner()}
        except OSError:
            return None
        except (ValueError, TypeError, KeyError):
            time.sleep(0.1)  # someone may be writing it
    return None


def _text() -> str:
    return json.dumps(_owner()) + "\n"


def _owner() -> dict[str, Any]:
    return {
        "host": socket.gethostname(),
        "boot": _boot(),
        "pid": os.getpid(),
        "born": _born(os.getpid()) or ME,
        "job": os.environ.get(JOB),
        "renewed": time.time(),
    }


def _is_ours(owner: dict[str, Any] | None) -> bool:
    ours = _owner()
    return owner is not None and all(owner[name] == ours[name] for name in ("boot", "pid", "born"))


def _boot() -> str:
    """What tells two starts of a machine apart; two containers may share a host's name."""
    with contextlib.suppress(OSError):
        namespace = os.readlink("/proc/self/ns/pid")
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip() + namespace
    return ""


def _born(pid: int) -> str | None:
    """When a process began, as the system counts it; None where there is no such process, or no
    /proc: `os.kill(pid, 0)` only asks on Unix, and is a Ctrl-C on Windows.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return text.rpartition(")")[2].split()[19]
