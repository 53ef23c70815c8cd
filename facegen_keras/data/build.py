"""Filling the cache from files: decode all, close up the gaps, fingerprint the content."""

import contextlib
import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from tqdm.auto import tqdm

from facegen_keras.data import cache, pool
from facegen_keras.data.decode import Record, Settings
from facegen_keras.data.pixels import HEADER_BYTES
from facegen_keras.data.sources import WAYS, Source
from facegen_keras.data.worker import process
from facegen_keras.errors import UserError
from facegen_keras.files.places import cache_folder


def open_or_build(
    source: Source,
    settings: Settings,
    limit: int | None,
    cache_dir: str | os.PathLike | None,
    workers: int,
    progress: bool,
) -> cache.Entry:
    """Open the cache of a source, building it first if it is missing or damaged.

    Raises:
        UserError: The crop is too small, no image is usable, or the cache cannot be written.
    """
    check_crop(settings)
    folder = cache_folder(cache_dir)
    index = cache.index_path(folder, source.stamp, settings, limit)
    entry = cache.open_entry(folder, index)
    if entry is not None and not _usable_by_now(source, entry.passing, settings):
        return entry
    with cache_errors(folder):
        _fill(source, settings, limit, folder, index, workers, progress)
    return reopen(folder, index)


def check_crop(settings: Settings) -> None:
    """Refuse a box that leaves too little of any image.

    Raises:
        UserError: Its shorter side is below `min_size`.
    """
    if not isinstance(settings.crop, tuple):
        return
    left, upper, right, lower = settings.crop
    if min(right - left, lower - upper) < settings.min_size:
        raise UserError(
            f"crop {left},{upper},{right},{lower}: {right - left}x{lower - upper} pixels, at least "
            f"{settings.min_size} are needed for resolution {settings.resolution}; give a larger "
            "crop or a smaller resolution"
        )


def reopen(folder: Path, index: Path) -> cache.Entry:
    """Open what was just built."""
    entry = cache.open_entry(folder, index, just_built=True)
    if entry is None:
        raise UserError(f"{folder}: the image cache was changed while it was built; run again")
    return entry


@contextlib.contextmanager
def cache_errors(folder: Path) -> Iterator[None]:
    """Turn an `OSError` of the cache folder, such as a full disk, into a `UserError`."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{folder}: cannot write the image cache ({error.strerror or error}); free space "
            "there, or name another folder with cache_dir or the variable FACEGEN_CACHE"
        ) from error


def progress_bar(total: int, shown: bool, doing: str = "decoding") -> tqdm:
    """Return the one bar of a pass over a source."""
    return tqdm(total=total, desc=doing, unit="image", disable=not shown, leave=False)


def _fill(
    source: Source,
    settings: Settings,
    limit: int | None,
    folder: Path,
    index: Path,
    workers: int,
    progress: bool,
) -> None:
    wanted = min(limit or len(source), len(source))
    records: list[Record] = []
    good = 0
    with (
        cache.Building(folder, wanted, settings.resolution) as building,
        progress_bar(wanted, progress) as bar,
    ):
        while good < wanted and len(records) < len(source):
            # With a limit, refused files are made up for by the next ones.
            start = len(records)
            stop = min(start + wanted - good, len(source))
            offset = HEADER_BYTES + good * building.row_bytes
            new = pool.decode_range(
                source, start, stop, settings, str(building.path), offset, workers, bar.update
            )
            good += _close_up(building, offset, new)
            records += new
        if not good:
            raise UserError(_nothing_usable(source, records, settings))
        fingerprint = _fingerprint(source.names, records, settings)
        building.finish(good, fingerprint)
    skipped = [
        (name, record.problem, record.detail)
        for name, record in zip(source.names, records, strict=False)
        if record.problem
    ]
    passing = [name for name, record in zip(source.names, records, strict=False) if record.passing]
    cache.remember(index, fingerprint, len(records), tuple(skipped), passing)


def _usable_by_now(source: Source, passing: Sequence[str], settings: Settings) -> bool:
    """Whether a file that could not be read when the cache was built can be read now."""
    places = {name: place for place, name in enumerate(source.names)} if passing else {}
    for name in passing:
        (record,) = process(source.task(places[name], places[name] + 1, settings))
        if not record.passing:
            return True
    return False


def _close_up(building: cache.Building, offset: int, records: Sequence[Record]) -> int:
    """Move the usable images together over the refused ones and return their number."""
    file, row_bytes = building.file, building.row_bytes
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


def _fingerprint(names: Sequence[str], records: Sequence[Record], settings: Settings) -> str:
    digest = hashlib.sha256(f"{cache.FORMAT} {settings.resolution} {settings.crop}\n".encode())
    for name, record in zip(names, records, strict=False):
        if not record.problem:
            # Earlier versions put these up to a pixel of the reduced size beside their place.
            mark = "\0rounded" if record.rounded else ""
            line = f"{name}\0{record.size}\0{record.crc:08x}{mark}\n"
            digest.update(line.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _nothing_usable(source: Source, records: Sequence[Record], settings: Settings) -> str:
    if all(record.problem == "too small" for record in records):
        return (
            f"{source.name}: all {len(records)} images are too small for resolution "
            f"{settings.resolution} ({records[0].detail}); choose a smaller resolution"
        )
    first = f"{source.names[0]}: {records[0].problem}, {records[0].detail}"
    return f"{source.name}: none of {len(records)} files is a usable image ({first}); {WAYS}"
