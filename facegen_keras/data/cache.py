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
import mmap
import os
import secrets
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from facegen_keras.data import pool
from facegen_keras.data.decode import Record, Settings
from facegen_keras.data.sources import WAYS, Source
from facegen_keras.errors import UserError

try:
    import fcntl
except ImportError:  # Windows: a killed run's temporary file stays until someone deletes it
    fcntl = None

FORMAT = 1  # part of every key: raise it when decoding changes its pixels
HEADER_BYTES = 128  # of a .npy file; NumPy pads it, so that the number of images can grow in place
BLOCK_BYTES = 16 * 2**20  # unit of the checksums
ALWAYS_CHECK_BELOW = 2**30  # bytes; half a second. Larger files are checked when they look touched
RESIDENT_BYTES = 64 * 2**20  # read from a mapping before its pages are handed back


class PixelFile:
    """A read-only `.npy` file of uint8 images, `(n, height, width, 3)`, indexed like an array.

    Pages of a mapping stay in the process's memory until someone else needs it. They are given
    back after every 64 MiB read, so that a large data set does not look like a leak; the system's
    file cache keeps them.
    """

    def __init__(self, path: str | os.PathLike):
        with open(path, "rb") as file:
            version = np.lib.format.read_magic(file)
            read_header = getattr(np.lib.format, f"read_array_header_{version[0]}_0")
            self.shape, fortran_order, dtype = read_header(file)
            if fortran_order or dtype != np.uint8:
                raise ValueError(f"{dtype}, fortran order: {fortran_order}")
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            count = int(np.prod(self.shape))
            flat = np.frombuffer(self._map, np.uint8, count, file.tell())
        self._images = flat.reshape(self.shape)
        self._read = 0

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, indices: np.ndarray) -> np.ndarray:
        images = self._images[indices]
        self._read += images.nbytes
        if self._read > RESIDENT_BYTES and hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)
            self._read = 0
        return images


@dataclass(frozen=True)
class Entry:
    """An open cache: pixels, fingerprint, number of files looked at, and the skipped ones."""

    pixels: PixelFile
    fingerprint: str
    found: int
    skipped: tuple[tuple[str, str, str], ...]


def cache_folder(cache_dir: str | os.PathLike | None) -> Path:
    """Return the argument, else `FACEGEN_CACHE`, else `~/.cache/facegen_keras`."""
    chosen = cache_dir or os.environ.get("FACEGEN_CACHE") or "~/.cache/facegen_keras"
    return Path(chosen).expanduser()


def open_or_build(
    source: Source,
    settings: Settings,
    limit: int | None,
    cache_dir: str | os.PathLike | None,
    workers: int | None,
    progress: bool,
) -> Entry:
    """Open the cache of a source, building it first if it is missing or damaged.

    Raises:
        UserError: No image is usable, or the cache cannot be written.
    """
    folder = cache_folder(cache_dir)
    key = hashlib.sha256(repr((FORMAT, source.stamp, settings, limit)).encode()).hexdigest()[:32]
    index = folder / f"index-{key}.json"
    entry = _open(folder, index)
    if entry is not None:
        return entry
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        _build(source, settings, limit, folder, index, workers or pool.default_workers(), progress)
    except OSError as error:
        raise UserError(
            f"{folder}: cannot write the image cache ({error.strerror or error}); free some space "
            "there, or name another folder with cache_dir or the variable FACEGEN_CACHE"
        ) from error
    entry = _open(folder, index)
    if entry is None:
        raise UserError(f"{folder}: the image cache changes while it is read; name another folder")
    return entry


def _open(folder: Path, index: Path) -> Entry | None:
    """Return the entry if everything is there and sound, else `None`."""
    try:
        remembered = json.loads(index.read_text("utf-8"))
        fingerprint = remembered["fingerprint"]
        path = folder / f"{fingerprint[:32]}.npy"
        manifest_path = path.with_suffix(".json")
        manifest = json.loads(manifest_path.read_text("utf-8"))
        info = path.stat()
        if manifest["fingerprint"] != fingerprint or info.st_size != manifest["bytes"]:
            return None
        untouched = info.st_mtime_ns == manifest["modified"]
        if info.st_size < ALWAYS_CHECK_BELOW or not untouched:
            if checksums(path) != manifest["checksums"]:
                return None
            if not untouched:  # copied here with its content intact
                manifest["modified"] = info.st_mtime_ns
                with contextlib.suppress(OSError):
                    _write_json(manifest_path, manifest)
        skipped = tuple(tuple(item) for item in remembered["skipped"])
        return Entry(PixelFile(path), fingerprint, remembered["found"], skipped)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _build(
    source: Source,
    settings: Settings,
    limit: int | None,
    folder: Path,
    index: Path,
    workers: int,
    progress: bool,
) -> None:
    row_bytes = settings.resolution**2 * 3
    wanted = min(limit or len(source), len(source))
    temporary = folder / f"building-{os.getpid()}-{secrets.token_hex(4)}.npy"
    with contextlib.ExitStack() as cleanup:
        cleanup.callback(temporary.unlink, missing_ok=True)
        file = cleanup.enter_context(open(temporary, "x+b", buffering=0))
        if fcntl:
            fcntl.flock(file, fcntl.LOCK_EX)  # tells `_sweep` that its owner lives
        _reserve(file.fileno(), HEADER_BYTES + wanted * row_bytes)
        bar = cleanup.enter_context(
            tqdm(total=wanted, desc="decoding", unit="image", disable=not progress, leave=False)
        )
        records: list[Record] = []
        good = 0
        while good < wanted and len(records) < len(source):
            # With a limit, refused files are made up for by the next ones.
            start = len(records)
            stop = min(start + wanted - good, len(source))
            offset = HEADER_BYTES + good * row_bytes
            new = pool.decode_range(
                source, start, stop, settings, str(temporary), offset, workers, bar.update
            )
            good += _close_up(file, offset, row_bytes, new)
            records += new
        if not good:
            raise UserError(_nothing_usable(source, records, settings))
        file.seek(0)
        file.write(_header(good, settings.resolution))
        file.truncate(HEADER_BYTES + good * row_bytes)
        os.fsync(file.fileno())
        fingerprint = _fingerprint(source.names, records, settings)
        target = folder / f"{fingerprint[:32]}.npy"
        manifest = {
            "fingerprint": fingerprint,
            "bytes": HEADER_BYTES + good * row_bytes,
            "checksums": checksums(temporary),
            "modified": os.fstat(file.fileno()).st_mtime_ns,
        }
        os.replace(temporary, target)
        _write_json(target.with_suffix(".json"), manifest)
        skipped = [
            (name, record.problem, record.detail)
            for name, record in zip(source.names, records, strict=False)
            if record.problem
        ]
        skipped += [(name, "not an image", "by its extension") for name in source.ignored]
        found = len(records) + len(source.ignored)
        _write_json(index, {"fingerprint": fingerprint, "found": found, "skipped": skipped})


def _reserve(descriptor: int, size: int) -> None:
    """Take the space now, so that a full disk is found before an hour of decoding."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
    else:
        os.truncate(descriptor, size)


def _close_up(file: io.RawIOBase, offset: int, row_bytes: int, records: Sequence[Record]) -> int:
    """Move the usable rows together over the refused ones and return their number."""
    good = 0
    for position, record in enumerate(records):
        if record.problem:
            continue
        if position != good:
            file.seek(offset + position * row_bytes)
            row = file.read(row_bytes)
            file.seek(offset + good * row_bytes)
            file.write(row)
        good += 1
    return good


def _header(count: int, resolution: int) -> bytes:
    buffer = io.BytesIO()
    shape = (count, resolution, resolution, 3)
    np.lib.format.write_array_header_1_0(
        buffer, {"descr": "|u1", "fortran_order": False, "shape": shape}
    )
    header = buffer.getvalue()
    if len(header) != HEADER_BYTES:
        raise AssertionError(f"a .npy header of {len(header)} bytes")
    return header


def _fingerprint(names: Sequence[str], records: Sequence[Record], settings: Settings) -> str:
    digest = hashlib.sha256(f"{FORMAT} {settings.resolution} {settings.crop}\n".encode())
    for name, record in zip(names, records, strict=False):
        if not record.problem:
            line = f"{name}\0{record.size}\0{record.crc:08x}\n"
            digest.update(line.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _nothing_usable(source: Source, records: Sequence[Record], settings: Settings) -> str:
    problem = records[0].problem
    detail = f"the first, {source.names[0]}: {problem}, {records[0].detail}"
    if all(record.problem == "too small" for record in records):
        return (
            f"{source.name}: all {len(records)} images are too small for resolution "
            f"{settings.resolution} ({records[0].detail}); choose a smaller resolution"
        )
    return f"{source.name}: none of {len(records)} files is a usable image ({detail}); {WAYS}"


def checksums(path: str | os.PathLike) -> list[int]:
    """Return the CRC-32 of every 16 MiB of a file."""

    def block(start: int) -> int:
        with open(path, "rb", buffering=0) as file:
            file.seek(start)
            return zlib.crc32(file.read(BLOCK_BYTES))

    with ThreadPoolExecutor(min(4, pool.default_workers())) as threads:
        return list(threads.map(block, range(0, os.path.getsize(path), BLOCK_BYTES)))


def _write_json(path: Path, content: dict) -> None:
    temporary = path.with_name(f"building-{os.getpid()}-{secrets.token_hex(4)}.json")
    try:
        with open(temporary, "x", encoding="utf-8") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _sweep(folder: Path) -> None:
    """Delete what killed runs have left half built."""
    if not fcntl:
        return
    for path in folder.glob("building-*.npy"):
        with contextlib.suppress(OSError), open(path, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails while its owner lives
            path.unlink()
