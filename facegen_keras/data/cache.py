"""Decoded images as one uint8 file on disk, built once and opened in an instant.

Three files in the cache folder belong to a data set: `<fingerprint>.npy` (the pixels, an ordinary
NumPy file), `<fingerprint>.json` (its size and checksums, written last: without it the pixels do
not count), and `index-<key>.json`, which remembers the fingerprint of a source that has not
changed since. Everything is written under a temporary name, flushed and renamed, so that a killed
run, a full disk or a second process leave either a whole cache or none.
"""

import contextlib
import hashlib
import io
import json
import os
import secrets
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facegen_keras.data.decode import Settings
from facegen_keras.data.pixels import HEADER_BYTES, PixelFile, make_header
from facegen_keras.data.worker import write_all

try:
    import fcntl
except ImportError:  # Windows: a killed run's temporary file stays until someone deletes it
    CAN_LOCK = False
else:
    CAN_LOCK = True

FORMAT = 1  # part of every fingerprint: raise it when decoding gives other pixels
JUDGED = 2  # part of every index: raise it when other files are refused, or decoded anew
BLOCK_BYTES = 16 * 2**20  # unit of the checksums
ALWAYS_CHECK_BELOW = 2**30  # bytes; half a second. Larger files are checked when they look touched

Skipped = tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class Entry:
    """A data set in the cache.

    Attributes:
        pixels: The images; an array itself where it needs no cache.
        fingerprint: SHA-256 (hex) of content and settings.
        found: Number of files looked at.
        skipped: `(name, problem, detail)` of each refused one.
        passing: Names of those among them that may be usable at the next try.
    """

    pixels: PixelFile | np.ndarray
    fingerprint: str
    found: int
    skipped: Skipped
    passing: tuple[str, ...] = ()


def index_path(folder: Path, stamp: str, settings: Settings, limit: int | None) -> Path:
    """Return where the fingerprint of an unchanged source is remembered."""
    key = hashlib.sha256(repr((FORMAT, JUDGED, stamp, *settings, limit)).encode("utf-8", "replace"))
    return folder / f"index-{key.hexdigest()[:32]}.json"


def recall(index: Path) -> dict | None:
    """Return what an index file remembers, or `None`."""
    try:
        remembered = json.loads(index.read_text("utf-8"))
        remembered["skipped"] = tuple(tuple(item) for item in remembered["skipped"])
        return remembered if {"fingerprint", "found"} <= remembered.keys() else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def remember(
    index: Path, fingerprint: str, found: int, skipped: Skipped, passing: Sequence[str] = ()
) -> None:
    """Write an index file: what an `Entry` says besides the pixels."""
    content = {"fingerprint": fingerprint, "found": found, "skipped": skipped}
    _write_json(index, content | {"passing": list(passing)})


def open_entry(folder: Path, index: Path, just_built: bool = False) -> Entry | None:
    """Return the entry if every part of it is there and sound, else `None`.

    Args:
        folder: The cache folder.
        index: From `index_path`.
        just_built: This process has computed the checksums a moment ago.
    """
    remembered = recall(index)
    if remembered is None:
        return None
    fingerprint = remembered["fingerprint"]
    path = folder / f"{fingerprint[:32]}.npy"
    manifest_path = path.with_suffix(".json")
    try:
        manifest = json.loads(manifest_path.read_text("utf-8"))
        info = path.stat()
        if manifest["fingerprint"] != fingerprint or info.st_size != manifest["bytes"]:
            return None
        untouched = info.st_mtime_ns == manifest["modified"]
        trusted = untouched and (just_built or info.st_size >= ALWAYS_CHECK_BELOW)
        if not trusted:
            if checksums(path) != manifest["checksums"]:
                return None
            if not untouched:  # copied here with its content intact
                manifest["modified"] = info.st_mtime_ns
                with contextlib.suppress(OSError):
                    _write_json(manifest_path, manifest)
        pixels = PixelFile(path)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    passing = tuple(remembered.get("passing", ()))
    return Entry(pixels, fingerprint, remembered["found"], remembered["skipped"], passing)


class Building:
    """A pixel file under construction: use it in `with`, fill `file`, then call `finish`.

    Without `finish`, leaving the `with` deletes what was written.

    Attributes:
        file: The unbuffered file; images start at byte `HEADER_BYTES`.
        path: Its temporary name.
    """

    def __init__(self, folder: Path, count: int, resolution: int) -> None:
        self.folder, self.resolution = folder, resolution
        self.row_bytes = resolution**2 * 3
        self._reserved = HEADER_BYTES + count * self.row_bytes

    def __enter__(self) -> "Building":
        self.folder.mkdir(parents=True, exist_ok=True)
        sweep(self.folder)
        self.file = create_owned(self.folder, ".npy")
        self.path = Path(self.file.name)
        try:
            # Take the space now: a full disk is found before an hour of decoding.
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(self.file.fileno(), 0, self._reserved)
            else:
                self.file.truncate(self._reserved)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self.path.unlink(missing_ok=True)

    def finish(self, count: int, fingerprint: str) -> None:
        """Give the first `count` images their final name."""
        size = HEADER_BYTES + count * self.row_bytes
        self.file.seek(0)
        self.file.write(make_header(count, self.resolution))
        self.file.truncate(size)
        os.fsync(self.file.fileno())
        manifest = {
            "fingerprint": fingerprint,
            "bytes": size,
            "checksums": checksums(self.path),
            "modified": os.fstat(self.file.fileno()).st_mtime_ns,
        }
        target = self.folder / f"{fingerprint[:32]}.npy"
        _rename(self.file, target)
        _write_json(target.with_suffix(".json"), manifest)


def checksums(path: str | os.PathLike) -> list[int]:
    """Return the CRC-32 of every 16 MiB of a file."""

    def block(start: int) -> int:
        with open(path, "rb", buffering=0) as file:
            file.seek(start)
            return zlib.crc32(file.read(BLOCK_BYTES))

    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as threads:
        return list(threads.map(block, range(0, os.path.getsize(path), BLOCK_BYTES)))


def sweep(folder: Path) -> None:
    """Delete what killed runs have left half built."""
    if not CAN_LOCK:
        return
    for path in folder.glob("building-*"):
        with contextlib.suppress(OSError), open(path, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails while its owner lives
            path.unlink()


def create_owned(folder: Path, suffix: str) -> io.FileIO:
    """Create a file of a temporary name, open and locked so that `sweep` leaves it alone."""
    while True:
        path = folder / f"building-{os.getpid()}-{secrets.token_hex(4)}{suffix}"
        file = open(path, "x+b", buffering=0)  # noqa: SIM115 - closed by the caller
        if CAN_LOCK:
            with contextlib.suppress(OSError):  # Lustre, NFS without locks: `sweep` has none either
                fcntl.flock(file, fcntl.LOCK_EX)
        if path.exists():  # and was not swept between its creation and its lock
            return file
        file.close()


def _rename(file: io.FileIO, target: Path) -> None:
    """Give an owned file its final name."""
    if not CAN_LOCK:  # Windows renames no open file, and has no lock that must last until then
        file.close()
    os.replace(file.name, target)


def _write_json(path: Path, content: dict) -> None:
    file = create_owned(path.parent, ".json")
    try:
        with file:
            write_all(file, json.dumps(content).encode())
            os.fsync(file.fileno())
            _rename(file, path)
    finally:
        Path(file.name).unlink(missing_ok=True)
