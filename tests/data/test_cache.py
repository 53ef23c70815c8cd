import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from facegen_keras.data import build, load_faces, pool, worker
from facegen_keras.data import cache as cache_module
from facegen_keras.errors import UserError

ROOT = Path(__file__).resolve().parents[2]


def load(source, **options):
    return load_faces(source, **{"resolution": 32, "progress": False, **options})


@pytest.fixture
def no_decoding(monkeypatch):
    """Turn on with `no_decoding()`: from then on decoding fails."""

    def turn_on() -> None:
        def refuse(*_):
            raise AssertionError("decoded again")

        monkeypatch.setattr(pool, "decode_range", refuse)

    return turn_on


def test_second_start_reads_the_cache(folder, cache, no_decoding):
    first = load(folder)
    (path,) = cache.glob("*.npy")
    assert path.stem == first.fingerprint[:32]
    assert (np.load(path) == first[:]).all()  # an ordinary NumPy file
    no_decoding()
    second = load(folder)
    assert (second[:] == first[:]).all()
    assert (second.fingerprint, second.report) == (first.fingerprint, first.report)


def test_fingerprint_follows_content_and_settings_not_place_or_time(folder, tmp_path):
    fingerprint = load(folder).fingerprint
    assert len(fingerprint) == 64
    elsewhere = shutil.copytree(folder, tmp_path / "elsewhere")
    for path in elsewhere.rglob("*.png"):
        os.utime(path, (1, 1))
    assert load(elsewhere).fingerprint == fingerprint
    assert load(folder, min_size=1, mirror=True, limit=12).fingerprint == fingerprint
    others = [
        load(folder, resolution=16),
        load(folder, crop="none"),
        load(folder, crop="0,0,32,32"),
        load(folder, limit=11),
    ]
    (elsewhere / "00.png").rename(elsewhere / "000.png")
    others.append(load(elsewhere))
    assert len({fingerprint, *(faces.fingerprint for faces in others)}) == 6


def test_changed_file_of_the_same_size_is_noticed(folder, photo):
    before = load(folder)
    path = folder / "00.png"
    data = bytearray(path.read_bytes())
    photo(100).save(path, compress_level=0)
    size = path.stat().st_size
    loaded = load(folder)
    assert loaded.fingerprint != before.fingerprint
    photo(101).save(path, compress_level=0)
    assert path.stat().st_size == size
    assert len(data) != size
    assert load(folder).fingerprint not in (before.fingerprint, loaded.fingerprint)


def flip_a_byte(path: Path) -> None:
    info = path.stat()
    with open(path, "r+b") as file:
        file.seek(1000)
        byte = file.read(1)
        file.seek(1000)
        file.write(bytes([byte[0] ^ 255]))
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))  # as a failing disk would


@pytest.mark.parametrize(
    ("pattern", "damage"),
    [
        ("*.npy", flip_a_byte),
        ("*.npy", lambda path: os.truncate(path, 500)),
        ("*.npy", lambda path: os.truncate(path, 0)),
        ("*.npy", Path.unlink),
        ("[0-9a-f]*.json", Path.unlink),
        ("[0-9a-f]*.json", lambda path: path.write_text('{"finger')),
        ("index-*.json", lambda path: path.write_text("null")),
        ("index-*.json", lambda path: path.write_bytes(b"\xff\0")),
    ],
)
def test_damaged_cache_is_rebuilt(folder, cache, pattern, damage):
    first = load(folder)
    before = first[:]
    (path,) = [
        path for path in cache.glob(pattern) if "index" in pattern or "index" not in path.name
    ]
    damage(path)
    again = load(folder)
    assert (again[:] == before).all()
    assert again.fingerprint == first.fingerprint
    assert sorted(path.suffix for path in cache.iterdir()) == [".json", ".json", ".npy"]


def test_copied_cache_is_checked_once_and_used(folder, cache, tmp_path, no_decoding):
    first = load(folder)
    moved = tmp_path / "moved"
    shutil.copytree(cache, moved)
    for path in moved.glob("*.npy"):
        os.utime(path, (1, 1))
    no_decoding()
    assert (load(folder, cache_dir=moved)[:] == first[:]).all()


def test_large_cache_is_checked_only_when_touched(folder, cache, monkeypatch):
    load(folder)
    monkeypatch.setattr(cache_module, "ALWAYS_CHECK_BELOW", 0)
    calls = []
    real = cache_module.checksums
    monkeypatch.setattr(cache_module, "checksums", lambda path: calls.append(path) or real(path))
    load(folder)
    assert not calls
    (path,) = cache.glob("*.npy")
    os.utime(path, (1, 1))
    load(folder)
    load(folder)
    assert calls == [path]  # and remembered


def test_a_photo_that_could_not_be_read_is_tried_again(folder, monkeypatch):
    read, built, away = worker._read, [], {"00.png", "more/02.png"}

    def reading(task, archive, item):
        if item in away:
            raise PermissionError(errno.EACCES, "Permission denied")
        return read(task, archive, item)

    def decoding(*arguments, decode=pool.decode_range):
        built.append(arguments)
        return decode(*arguments)

    monkeypatch.setattr(worker, "_read", reading)
    monkeypatch.setattr(pool, "decode_range", decoding)
    part = load(folder)
    denied = ("unreadable", "Permission denied")
    assert part.report.skipped == tuple((name, *denied) for name in sorted(away))
    assert load(folder).fingerprint == part.fingerprint
    assert len(built) == 1
    away.remove("more/02.png")
    assert [name for name, *_ in load(folder).report.skipped] == ["00.png"]
    away.clear()
    assert len(load(folder)) == 12
    assert len(built) == 3
    (folder / "03.png").write_bytes(b"")  # damage stays: it is not tried at every start
    load(folder), load(folder)
    assert len(built) == 4


def test_limit_makes_up_for_refused_files(folder):
    for number in (0, 1):
        (folder / f"0{number}.broken.png").write_text("no face")
    faces, whole = load(folder, limit=5), load(folder)
    assert len(faces) == 5
    assert (faces[:] == whole[:5]).all()
    assert len(faces.report.skipped) == 2
    assert len(load(folder, limit=500)) == 12


def test_a_file_system_without_locks_has_a_cache_all_the_same(folder, cache, monkeypatch):
    def refused(file, how):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(cache_module.fcntl, "flock", refused)
    assert len(load(folder)) == 12
    assert not list(cache.glob("building-*"))


def test_full_disk_leaves_nothing_behind(folder, cache, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for module, name in ((os, "posix_fallocate"), (worker, "write_all"), (os, "fsync")):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, full)
            with pytest.raises(UserError, match=r"No space left on device.*FACEGEN_CACHE") as error:
                load(folder)
        assert str(cache) in str(error.value)
        assert "\n" not in str(error.value)
        assert list(cache.iterdir()) == []
    assert len(load(folder)) == 12


def test_cache_folder_that_cannot_be_made(folder, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write the image cache"):
        load(folder, cache_dir=tmp_path / "file" / "cache")


# Like `pool.BOOTSTRAP`, without the package's __init__: nothing here needs Keras.
BUILD = """
import sys, time, types
for name in ("facegen_keras", "facegen_keras.data"):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [name.replace(".", "/")]
from facegen_keras.data import build
from facegen_keras.data.faces import load_faces
real = build.pool.decode_range
def slow(*arguments):
    print("building", flush=True)
    time.sleep(float(sys.argv[2]))
    return real(*arguments)
build.pool.decode_range = slow
print(load_faces(sys.argv[1], resolution=32, progress=False)[:].sum())
"""


def start(folder: Path, pause: float) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", BUILD, str(folder), str(pause)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_killed_and_competing_builders(folder, cache):
    killed, first, second = (start(folder, pause) for pause in (600, 2, 2))
    with killed, first, second:
        assert killed.stdout.readline() == "building\n"
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        with ThreadPoolExecutor(2) as threads:
            answers = list(threads.map(lambda process: process.communicate()[0], (first, second)))
    assert [first.returncode, second.returncode] == [0, 0]
    total = int(load(folder)[:].sum())
    assert {int(answer.split()[-1]) for answer in answers} == {total}
    deadline = time.monotonic() + 5
    cache_module.sweep(cache)
    while list(cache.glob("building-*")) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert sorted(path.suffix for path in cache.iterdir()) == [".json", ".json", ".npy"]


def test_sweep_spares_what_is_being_built(cache):
    with cache_module.Building(cache, 4, 8) as building:
        cache_module.sweep(cache)
        assert building.path.exists()
    assert not building.path.exists()
    building.path.write_bytes(b"left by a killed run")
    cache_module.sweep(cache)
    assert not building.path.exists()


def test_file_swept_before_its_lock_is_made_anew(cache, monkeypatch):
    cache.mkdir()
    real, swept = cache_module.fcntl.flock, []

    def slow(file, how):
        if not swept:  # another process sweeps between the creation and the lock
            swept.append(file.name)
            Path(file.name).unlink()
        real(file, how)

    monkeypatch.setattr(cache_module.fcntl, "flock", slow)
    with cache_module.create_owned(cache, ".npy") as file:
        assert Path(file.name).exists()
        assert file.name != swept[0]


def test_without_locks_no_open_file_is_renamed(folder, cache, monkeypatch):
    """As on Windows, which has no `fcntl` and renames nothing that is open."""
    create, rename, opened = cache_module.create_owned, os.replace, {}

    def remembered(*given):
        file = create(*given)
        opened[str(file.name)] = file
        return file

    def refusing(source, target):
        assert opened[str(source)].closed
        rename(source, target)

    monkeypatch.setattr(cache_module, "CAN_LOCK", False)
    monkeypatch.setattr(cache_module, "create_owned", remembered)
    monkeypatch.setattr(os, "replace", refusing)
    assert len(load(folder)) == 12
    assert sorted(path.suffix for path in cache.iterdir()) == [".json", ".json", ".npy"]


def test_progress_goes_to_one_bar_and_one_line(folder, capsys):
    (folder / "broken.png").write_text("no face")
    load_faces(folder, resolution=32)
    out, err = capsys.readouterr()
    assert out == f"{folder}: 12 of 13 images used; skipped 1 not an image (broken.png)\n"
    assert "decoding" in err
    load_faces(folder, resolution=16, progress=False)
    assert capsys.readouterr() == ("", "")
    assert build.progress_bar(3, shown=False).disable
