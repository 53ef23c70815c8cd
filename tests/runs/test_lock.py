"""Two processes never train one run; a lock whose owner has gone stops nobody."""

import json
import os
import subprocess
import sys
import time

import pytest

from facegen_keras.errors import UserError
from facegen_keras.runs import lock
from facegen_keras.runs.lock import LOCK, STALE, RunLock, check_unlocked


@pytest.fixture
def owner(tmp_path):
    """`owner(name=value)`: write a lock like that of this process, with changes."""

    def write(**changes):
        (tmp_path / LOCK).write_text(json.dumps({**lock._owner(), **changes}))

    return write


@pytest.fixture
def neighbour():
    """The number of a process that lives until the end of the test."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process.pid
    process.communicate()


def test_it_is_taken_and_given_back(tmp_path):
    mine = RunLock(tmp_path)
    mine.take()
    assert json.loads((tmp_path / LOCK).read_text())["pid"] == os.getpid()
    check_unlocked(tmp_path)  # this process may go on
    mine.release()
    assert not (tmp_path / LOCK).exists()


def test_while_another_process_lives_the_run_is_its_own(tmp_path, owner, neighbour):
    owner(pid=neighbour, born=lock._born(neighbour))
    with pytest.raises(UserError, match=rf"process {neighbour} on .* is training this run"):
        RunLock(tmp_path).take()
    assert json.loads((tmp_path / LOCK).read_text())["pid"] == neighbour


def test_a_process_that_has_gone_holds_nothing(tmp_path, owner, neighbour):
    owner(pid=neighbour, born="1")  # its number belongs to another process by now
    mine = RunLock(tmp_path)
    mine.take()
    assert json.loads((tmp_path / LOCK).read_text())["pid"] == os.getpid()
    mine.release()


def test_elsewhere_the_last_sign_of_life_counts(tmp_path, owner):
    owner(boot="another machine", host="node7", renewed=time.time() - STALE / 2)
    with pytest.raises(UserError, match=r"on node7 .*last seen 6\d s ago"):
        check_unlocked(tmp_path)
    owner(boot="another machine", renewed=time.time() - STALE - 1)
    check_unlocked(tmp_path)


def test_a_requeued_job_takes_over_from_itself(tmp_path, owner, monkeypatch):
    owner(boot="another machine", job="12")
    monkeypatch.setenv("SLURM_JOB_ID", "12")
    check_unlocked(tmp_path)
    monkeypatch.setenv("SLURM_JOB_ID", "13")
    with pytest.raises(UserError, match="is training this run"):
        check_unlocked(tmp_path)


def test_half_a_lock_stops_nobody(tmp_path):
    (tmp_path / LOCK).write_text('{"pid": 1')
    check_unlocked(tmp_path)


def test_it_is_renewed_while_its_owner_lives(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "RENEW", 0.05)
    mine = RunLock(tmp_path)
    mine.take()
    first = json.loads((tmp_path / LOCK).read_text())["renewed"]
    for _ in range(100):
        time.sleep(0.05)
        if json.loads((tmp_path / LOCK).read_text())["renewed"] > first:
            break
    else:
        pytest.fail("never renewed")
    mine.release()


@pytest.mark.parametrize("jump", [-86_400, 86_400])
def test_a_clock_that_jumps_gives_no_run_away(tmp_path, owner, neighbour, monkeypatch, jump):
    """On one machine the process counts, not the time."""
    owner(pid=neighbour, born=lock._born(neighbour))
    now = time.time()
    monkeypatch.setattr(lock.time, "time", lambda: now + jump)
    with pytest.raises(UserError, match="is training this run"):
        RunLock(tmp_path).take()


def test_a_lock_that_another_has_taken_meanwhile_is_left_to_it(tmp_path, owner, neighbour):
    owner(boot="another machine", renewed=time.time() - STALE - 1)
    abandoned = check_unlocked(tmp_path)
    owner(pid=neighbour, born=lock._born(neighbour))  # who judged it at the same time, and first
    RunLock(tmp_path)._remove(abandoned)
    assert json.loads((tmp_path / LOCK).read_text())["pid"] == neighbour
    RunLock(tmp_path)._remove(json.loads((tmp_path / LOCK).read_text()))
    assert list(tmp_path.iterdir()) == []


def test_an_owner_that_was_believed_gone_gives_up(tmp_path, owner, monkeypatch):
    monkeypatch.setattr(lock, "RENEW", 0.02)
    mine = RunLock(tmp_path)
    mine.take()
    mine.check_held()
    owner(boot="another machine", host="node7", pid=12)
    deadline = time.monotonic() + 20
    while mine.taken_by is None and time.monotonic() < deadline:
        owner(boot="another machine", host="node7", pid=12)  # a renewal may have been under way
        time.sleep(0.05)
    with pytest.raises(UserError, match="process 12 on node7 has taken this run over"):
        mine.check_held()
    mine.release()
    assert json.loads((tmp_path / LOCK).read_text())["host"] == "node7"


@pytest.fixture
def without_proc(monkeypatch):
    """A system without /proc, as macOS and Windows, where signal 0 is a Ctrl-C."""

    def no_link(path):
        raise OSError(2, "No such file or directory")

    monkeypatch.setattr(lock.os, "readlink", no_link)
    monkeypatch.setattr(lock, "Path", _Nowhere)
    monkeypatch.setattr(lock.os, "kill", lambda *args: pytest.fail(f"os.kill{args}"))


class _Nowhere:
    def __init__(self, path):
        assert str(path).startswith("/proc")

    def read_text(self):
        raise FileNotFoundError(2, "No such file or directory")

    def exists(self):
        return False


def test_where_there_is_no_proc_the_last_sign_of_life_counts(tmp_path, owner, without_proc):
    mine = RunLock(tmp_path)
    mine.take()
    check_unlocked(tmp_path)  # this process may go on
    mine.release()
    assert not (tmp_path / LOCK).exists()
    owner(host="another Mac", pid=os.getpid() + 1, born="of another process")
    with pytest.raises(UserError, match="on another Mac is training this run"):
        check_unlocked(tmp_path)
    owner(pid=os.getpid() + 1, born="x", renewed=time.time() - STALE - 1)  # its number may be taken
    check_unlocked(tmp_path)
