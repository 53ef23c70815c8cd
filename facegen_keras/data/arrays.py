"""Faces that are already arrays: `.npy`, `.npz` or an array in memory."""

import contextlib
import math
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from facegen_keras.data.pixels import PixelFile
from facegen_keras.errors import UserError
from facegen_keras.files.limits import open_archive, open_member, read_npy_header

EXPECTED = "uint8 images of shape (n, height, width, 3) are needed"
PIECE_BYTES = 32 * 2**20  # of an array that are in memory at a time
DEFLATE_RATIO = 1032  # no byte of a zip can become more (zlib's technical details)
IMAGE_BYTES = 128 * 2**20  # of one image: a header can name any size
# What a damaged zip raises, depending on where the damage is.
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, OSError)


def row_names(count: int) -> list[str]:
    """Names for images that have none, in an order that sorting keeps."""
    return [f"row {row:08d}" for row in range(count)]


@dataclass
class ArraySource:
    """Images of one size, read in pieces.

    Attributes:
        name: What the user gave, for messages.
        stamp: Changes when the content may have changed; quick to compute.
        shape: `(n, height, width, 3)`.
        pixels: The images where they can be indexed in place, else `None` (inside a `.npz`).
        path: The `.npz`, if it is one.
        member: The array's file name inside the `.npz`.
    """

    name: str
    stamp: str
    shape: tuple[int, ...]
    pixels: PixelFile | np.ndarray | None = None
    path: Path | None = None
    member: str = ""

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def names(self) -> list[str]:
        """A name for every image."""
        return row_names(len(self))

    def chunks(self, count: int) -> Iterator[np.ndarray]:
        """Yield the first `count` images, at most 32 MiB at a time, in C order."""
        rows = max(1, PIECE_BYTES // math.prod(self.shape[1:]))
        with contextlib.ExitStack() as cleanup:
            file: IO[bytes] | None = None
            if self.path is not None:
                archive = cleanup.enter_context(open_archive(self.path))
                file = cleanup.enter_context(open_member(archive, self.member))
                read_npy_header(file)
            for start in range(0, count, rows):
                stop = min(start + rows, count)
                if file is not None:
                    yield self._read(file, (stop - start, *self.shape[1:]))
                elif self.pixels is not None:
                    yield np.ascontiguousarray(self.pixels[start:stop])

    def _read(self, file: IO[bytes], shape: tuple[int, ...]) -> np.ndarray:
        size = math.prod(shape)
        try:
            data = file.read(size)
        except DAMAGE as error:
            raise UserError(f"{self.name}: damaged ({error}); save or download it again") from None
        if len(data) != size:
            raise UserError(f"{self.name}: shorter than its header says; save it again")
        return np.frombuffer(data, np.uint8).reshape(shape)


def from_memory(images: np.ndarray) -> ArraySource:
    """Wrap an array; it is not copied."""
    name = f"array {images.shape}"
    _check(name, images.shape, images.dtype)
    return ArraySource(name, "", images.shape, images)


def open_npy(path: Path, name: str) -> ArraySource:
    """Open a `.npy` in place."""
    try:
        with open(path, "rb") as file:
            shape, _, dtype = read_npy_header(file)
        _check(name, shape, dtype)
        pixels = PixelFile(path)
    except UserError:
        raise
    except ValueError as error:
        raise UserError(f"{name}: not a usable .npy ({error}); {EXPECTED}") from None
    return ArraySource(name, _stamp(path), shape, pixels)


def open_npz(path: Path, name: str) -> ArraySource:
    """Open the one image array of a `.npz`; other arrays in it, such as labels, are passed over."""
    fitting, seen = {}, []
    try:
        with open_archive(path) as archive:
            for member in archive.namelist():
                with open_member(archive, member) as file:
                    shape, fortran_order, dtype = read_npy_header(file)
                info = archive.getinfo(member)
                if math.prod(shape) > min(info.file_size, DEFLATE_RATIO * info.compress_size):
                    raise ValueError(f"{member} is shorter than its header says")
                key = member.removesuffix(".npy")
                seen.append(f"{key} {dtype} {shape}")
                if _fits(shape, dtype) and not fortran_order:
                    fitting[key] = (member, shape)
    except DAMAGE as error:
        raise UserError(f"{name}: not a usable .npz ({error}); {EXPECTED}") from None
    if len(fitting) > 1 and "images" in fitting:
        fitting = {"images": fitting["images"]}
    if len(fitting) != 1:
        how_many = (
            "no such array" if not fitting else f"{len(fitting)} such arrays, name one images"
        )
        raise UserError(f"{name}: {EXPECTED}; it holds {how_many} ({'; '.join(seen) or 'nothing'})")
    member, shape = next(iter(fitting.values()))
    return ArraySource(name, _stamp(path), shape, None, path, member)


def _fits(shape: tuple[int, ...], dtype: np.dtype) -> bool:
    usual = dtype == np.uint8 and len(shape) == 4 and shape[3] == 3 and min(shape) > 0
    return usual and math.prod(shape[1:]) <= IMAGE_BYTES


def _check(name: str, shape: tuple[int, ...], dtype: np.dtype) -> None:
    if not _fits(shape, dtype):
        raise UserError(f"{name}: holds {dtype} of shape {tuple(shape)}; {EXPECTED}")


def _stamp(path: Path) -> str:
    info = path.stat()
    return f"array {path.resolve()} {info.st_size} {info.st_mtime_ns}"
