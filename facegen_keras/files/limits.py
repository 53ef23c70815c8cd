"""Bounds on what a file may ask for, checked before the memory is taken.

A small file can name any size in a header, or unpack to any amount of zeros. Intact files stay far
below these bounds, and what they refuse is told as damage. Only the standard library and NumPy.
"""

import io
import math
import os
import struct
import warnings
import zipfile
from typing import IO, BinaryIO

import numpy as np

from facegen_keras.errors import reason_of

PLAIN_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # the others unpack without a bound
LONGEST_HEADER = 10_000  # bytes of a .npy header, as in NumPy
MOST_TEXT = 16 * 2**20  # bytes of JSON; read, they become up to 25 times as many
SMALL = 64 * 2**20  # bytes that any file may unpack to
MOST_LISTED = 64 * 2**20  # bytes of a zip's list of members: Python takes ten times as many
ZIP_END = struct.Struct("<4s4H2LH")  # the record behind that list: its size is field 5
ZIP64_END = struct.Struct("<4sQ2H2L4Q")  # the same where a number needs 64 bits: field 8
ZIP64_LOCATOR = 20  # bytes between both
MOST_GROWTH = 4  # times its own size that a larger file may unpack to: weights hardly shrink


def unpacked_limit(size: int) -> int:
    """Bytes that a file of `size` bytes may unpack to."""
    return max(SMALL, MOST_GROWTH * size)


def open_archive(path: str | os.PathLike) -> zipfile.ZipFile:
    """Open a zip, unless its list of members alone would fill the memory.

    Raises:
        zipfile.BadZipFile: It would, or the file is no zip.
        OSError: It cannot be read.
    """
    with open(path, "rb") as file:
        listed = _listed_bytes(file)
    if listed > MOST_LISTED:
        raise zipfile.BadZipFile(
            f"its list of files has {listed:,} bytes, more than {MOST_LISTED:,}; unpack it"
        )
    return zipfile.ZipFile(path)


def _listed_bytes(file: BinaryIO) -> int:
    """The size of a zip's list of members, as its end says it; 0 where there is no such end."""
    size = file.seek(0, os.SEEK_END)
    start = max(0, size - ZIP_END.size - 2**16)  # a comment may follow
    file.seek(start)
    tail = file.read()
    at = len(tail) - ZIP_END.size
    if at < 0 or tail[at : at + 4] != b"PK\5\6" or tail[-2:] != b"\0\0":
        at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) < at + ZIP_END.size:
        return 0
    listed = ZIP_END.unpack_from(tail, at)[5]
    file.seek(max(0, start + at - ZIP64_LOCATOR - ZIP64_END.size))
    larger = file.read(ZIP64_END.size)
    if larger.startswith(b"PK\6\6") and len(larger) == ZIP64_END.size:
        listed = max(listed if listed < 2**32 - 1 else 0, ZIP64_END.unpack(larger)[8])
    return listed


def read_member(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """A member of a zip, whole and with a right checksum.

    Raises:
        ValueError: It is larger than `most` bytes, or packed in an unusual way.
        zipfile.BadZipFile, EOFError, zlib.error: It is damaged.
        KeyError: It does not exist.
    """
    with open_member(archive, name) as file:
        content = file.read(most + 1)
        if len(content) > most:
            raise ValueError(f"{name} is larger than {most:,} bytes")
        file.read(1)  # at the end the checksum is compared
    return content


def open_member(archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    """A member of a zip, to be read in pieces.

    Raises:
        ValueError: It is encrypted, or packed in an unusual way.
        KeyError: It does not exist.
    """
    member = archive.getinfo(name)
    if member.flag_bits & 1 or member.compress_type not in PLAIN_METHODS:
        raise ValueError(f"{name} is encrypted or packed in an unusual way")
    return archive.open(member)


def read_npy_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Read a `.npy` header and return (shape, Fortran order, dtype).

    Raises:
        ValueError: It is not one, is damaged, or is of a version that NumPy does not read here.
    """
    version = np.lib.format.read_magic(file)
    readers = {
        (1, 0): ("<H", np.lib.format.read_array_header_1_0),
        (2, 0): ("<I", np.lib.format.read_array_header_2_0),
    }
    if version not in readers:
        raise ValueError(f".npy version {version[0]}.{version[1]}")
    layout, read = readers[version]
    start = file.read(struct.calcsize(layout))
    if len(start) < struct.calcsize(layout):
        raise ValueError("its header is cut short")
    (length,) = struct.unpack(layout, start)
    if length > LONGEST_HEADER:
        raise ValueError(f"its header has {length:,} bytes")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about headers of Python 2
            shape, fortran_order, dtype = read(io.BytesIO(start + file.read(length)))
    except Exception as error:  # NumPy evaluates it: damage can raise anything
        raise ValueError(f"its header is damaged: {reason_of(error, most=100)}") from None
    if any(side < 0 for side in shape):
        raise ValueError(f"its header names the shape {shape}")
    return shape, fortran_order, dtype


def check_npz(archive: zipfile.ZipFile, most: int) -> None:
    """Refuse a `.npz` whose arrays would take more than `most` bytes together.

    Raises:
        ValueError: They would, or a header is damaged.
        zipfile.BadZipFile, EOFError, zlib.error: The archive is damaged.
    """
    total = 0
    for member in archive.namelist():
        if member.endswith(".npy"):
            with open_member(archive, member) as file:
                shape, _, dtype = read_npy_header(file)
            total += math.prod(shape) * max(dtype.itemsize, 1)
        else:
            total += archive.getinfo(member).file_size
        if total > most:
            raise ValueError(f"its arrays are larger than {most:,} bytes")
