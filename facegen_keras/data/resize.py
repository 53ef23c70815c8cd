"""From an array source to images of the wanted size: in place, in memory or through the cache."""

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from facegen_keras.data import build, cache
from facegen_keras.data.arrays import ArraySource
from facegen_keras.data.decode import Settings, Unusable, crop_box
from facegen_keras.data.pixels import HEADER_BYTES
from facegen_keras.data.worker import write_all
from facegen_keras.errors import UserError
from facegen_keras.files.places import cache_folder


def open_array(
    source: ArraySource,
    settings: Settings,
    limit: int | None,
    cache_dir: str | os.PathLike | None,
    workers: int,
    progress: bool,
) -> cache.Entry:
    """Return the entry of an array source.

    An array that already has the right size is used where it is; one in memory is resized in
    memory; anything else is resized into the cache.

    Raises:
        UserError: The crop does not fit, the file is damaged, or the cache cannot be written.
    """
    settings = settings._replace(min_size=1)  # an array is all one size, and given on purpose
    count = min(limit or len(source), len(source))
    folder = cache_folder(cache_dir)
    index = cache.index_path(folder, source.stamp, settings, limit)
    resize = _resizer(source, settings)
    side = settings.resolution
    fits = source.shape[1:3] == (side, side) and not isinstance(settings.crop, tuple)
    if fits and source.pixels is not None:
        fingerprint = _fingerprint_in_place(source, settings, count, index, progress)
        return cache.Entry(source.pixels, fingerprint, count, ())
    if isinstance(source.pixels, np.ndarray):
        rows = np.empty((count, side, side, 3), np.uint8)
        for row, image in zip(rows, source.pixels, strict=False):
            row[...] = np.frombuffer(resize(image), np.uint8).reshape(row.shape)
        return cache.Entry(rows, _hash(source, settings, count, progress), count, ())
    entry = cache.open_entry(folder, index)
    if entry is not None:
        return entry
    with build.cache_errors(folder):
        _fill(source, settings, count, resize, folder, index, workers, progress)
    return build.reopen(folder, index)


def _fingerprint_in_place(
    source: ArraySource, settings: Settings, count: int, index: Path, progress: bool
) -> str:
    """The fingerprint of an array that is used where it is, remembered for a file."""
    remembered = cache.recall(index) if source.stamp else None
    if remembered:
        return str(remembered["fingerprint"])
    fingerprint = _hash(source, settings, count, progress)
    if source.stamp:
        with build.cache_errors(index.parent):
            index.parent.mkdir(parents=True, exist_ok=True)
            cache.remember(index, fingerprint, count, ())
    return fingerprint


def _fill(
    source: ArraySource,
    settings: Settings,
    count: int,
    resize: Callable[[np.ndarray], bytes],
    folder: Path,
    index: Path,
    workers: int,
    progress: bool,
) -> None:
    digest = hashlib.sha256()
    with (
        cache.Building(folder, count, settings.resolution) as building,
        build.progress_bar(count, progress) as bar,
        ThreadPoolExecutor(workers) as threads,  # Pillow's resize releases the interpreter lock
    ):
        building.file.seek(HEADER_BYTES)
        for images in source.chunks(count):
            digest.update(images.data)
            write_all(building.file, b"".join(threads.map(resize, images)))
            bar.update(len(images))
        fingerprint = _fingerprint(digest, source, settings, count)
        building.finish(count, fingerprint)
    cache.remember(index, fingerprint, count, ())


def _resizer(source: ArraySource, settings: Settings) -> Callable[[np.ndarray], bytes]:
    """Return the function from one uint8 `(height, width, 3)` image to the bytes of a row."""
    height, width = source.shape[1:3]
    try:
        box = crop_box(width, height, settings)
    except Unusable as error:
        raise UserError(f"{source.name}: {': '.join(error.args)}") from None
    side = settings.resolution

    def resize(pixels: np.ndarray) -> bytes:
        image = Image.fromarray(np.ascontiguousarray(pixels)).crop(box)
        if image.size != (side, side):
            image = image.resize((side, side), Image.Resampling.LANCZOS)
        return image.tobytes()

    return resize


def _hash(source: ArraySource, settings: Settings, count: int, progress: bool) -> str:
    digest = hashlib.sha256()
    with build.progress_bar(count, progress) as bar:
        for images in source.chunks(count):
            digest.update(images.data)
            bar.update(len(images))
    return _fingerprint(digest, source, settings, count)


def _fingerprint(
    digest: "hashlib._Hash", source: ArraySource, settings: Settings, count: int
) -> str:
    shape = (count, *source.shape[1:])
    line = f"{cache.FORMAT} {settings.resolution} {settings.crop} {shape} {digest.hexdigest()}"
    return hashlib.sha256(line.encode()).hexdigest()
