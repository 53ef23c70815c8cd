"""HDF5 files: what they would take in memory, and a checksum of their content.

HDF5 itself notices little damage: most of a file of weights are numbers, and any number is valid.
"""

import hashlib
import os
import zlib
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import h5py
import numpy as np

from facegen_keras.files.limits import MOST_TEXT

TRAILER = b"facegen crc32 "
TRAILER_BYTES = len(TRAILER) + 8
PIECE = 2**20  # bytes
CHECKSUM = "facegen_sha256"  # attribute of the root; over everything else in the file

# What h5py raises for a damaged file, depending on where the damage is.
DAMAGE = (
    OSError, RuntimeError, LookupError, ValueError, TypeError, AttributeError, MemoryError,
    OverflowError, SystemError,
)  # fmt: skip


def append_crc32(path: str | os.PathLike) -> None:
    """Put a checksum of all bytes behind a closed file, where HDF5 does not look."""
    with open(path, "rb+") as file:
        file.write(_trailer(file, file.seek(0, os.SEEK_END)))


def check_crc32(file: BinaryIO) -> None:
    """Refuse a file whose bytes differ from their checksum, before HDF5 sees them: some damage
    makes it loop forever. Files without such a checksum pass.

    Raises:
        ValueError: They differ.
    """
    length = max(0, file.seek(0, os.SEEK_END) - TRAILER_BYTES)
    file.seek(length)
    trailer = file.read()
    if trailer.startswith(TRAILER) and trailer != _trailer(file, length):
        raise ValueError("its bytes are not what was written")


def _trailer(file: BinaryIO, length: int) -> bytes:
    """The checksum of the first bytes of a file, which is then positioned behind them."""
    file.seek(0)
    checksum = 0
    for start in range(0, length, PIECE):
        checksum = zlib.crc32(file.read(min(PIECE, length - start)), checksum)
    return TRAILER + b"%08x" % checksum


def read_text(owner: h5py.Group, name: str) -> str | None:
    """A text among the attributes of a group; None where there is none.

    Raises:
        ValueError: It is no text, or one of more than `limits.MOST_TEXT` bytes.
    """
    if name not in owner.attrs:
        return None
    found = owner.attrs.get_id(name)
    if found.shape != () or found.dtype.itemsize > MOST_TEXT:
        raise ValueError(f"{name} is not a text of at most {MOST_TEXT:,} bytes")
    value = owner.attrs[name]
    value = value.decode() if isinstance(value, bytes) else value
    if not isinstance(value, str) or len(value) > MOST_TEXT:
        raise ValueError(f"{name} is not a text of at most {MOST_TEXT:,} bytes")
    return value


def check_sizes(file: h5py.File, most: int) -> int:
    """Refuse a file whose arrays would take more than `most` bytes, or lie in other files.

    Returns:
        How many numbers its arrays have.

    Raises:
        ValueError: They would, or it is damaged.
    """
    total = numbers = 0
    for name, item in _items(file):
        if isinstance(item, h5py.Dataset):
            if item.is_virtual or item.external:
                raise ValueError(f"{name} lies in another file")
            numbers += item.size or 0
            total += item.size * max(item.dtype.itemsize, 1) if item.shape else 0
            if total > most:
                raise ValueError(f"its arrays are larger than {most:,} bytes")
    return numbers


def checksum_of(file: h5py.File) -> str:
    """Hex sha256 of all names, attributes and arrays, but for the checksum itself."""
    digest = hashlib.sha256()
    for name, item in _items(file):
        digest.update(f"{name}\n".encode())
        for key in sorted(item.attrs):
            if not (item.name == "/" and key == CHECKSUM):
                _add(digest, f"{name} {key}", item.attrs[key])
        if isinstance(item, h5py.Dataset):
            _add(digest, name, item[()])
    return digest.hexdigest()


def copy_member(old: h5py.File, name: str, new: h5py.File) -> None:
    """Copy a group or an array of the root into another file."""
    old.copy(name, new)


def copy_without(
    attribute: str,
    source: str | os.PathLike,
    target: str | os.PathLike,
    copy: Callable[[h5py.File, str, h5py.File], None] = copy_member,
) -> None:
    """Write the content of a file into a new one, without one attribute of the root.

    HDF5 leaves the bytes of a changed attribute in its file: what it said before could still be
    read there, and the file grows with each change. So an attribute is changed in such a copy.

    Args:
        attribute: What is left out; the checksum is too, which would be wrong.
        source: The file.
        target: The new file.
        copy: What copies a member of the root; as it is, or changed.
    """
    with h5py.File(source) as old, h5py.File(target, "w") as new:
        for name in old:
            copy(old, name, new)
        for name, value in old.attrs.items():
            if name not in (attribute, CHECKSUM):
                new.attrs[name] = value


def seal(file: h5py.File) -> None:
    """Write the checksum of an open file into it."""
    file.attrs[CHECKSUM] = checksum_of(file)


def is_intact(file: h5py.File) -> bool | None:
    """Whether the content is what was sealed; None where the file has no checksum."""
    expected = file.attrs.get(CHECKSUM)
    return None if expected is None else bool(checksum_of(file) == expected)


def _items(file: h5py.File) -> Iterator[tuple[str, Any]]:
    """The groups and arrays of a file by name, sorted.

    Raises:
        ValueError: A name leads to another file or to nothing.
    """
    yield "/", file
    groups, seen = [("", file)], set()
    while groups:
        prefix, group = groups.pop()
        for key in sorted(group):
            name = f"{prefix}{key}"
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                raise ValueError(f"{name} is a link to elsewhere")
            item = group[key]
            yield name, item
            if isinstance(item, h5py.Group):
                address = h5py.h5o.get_info(item.id).addr
                if address in seen:
                    raise ValueError(f"{name} is a group that is there twice")
                seen.add(address)
                groups.append((f"{name}/", item))


def _add(digest: Any, name: str, value: Any) -> None:
    """Continue a checksum with a value that HDF5 holds, under its name."""
    array = np.asarray(value)
    digest.update(f"{name} {array.shape} {array.dtype.kind}\n".encode())
    if array.dtype.kind in "OUS":  # texts; HDF5 has several kinds of them
        digest.update(repr(array.tolist()).encode())
    else:
        digest.update(array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
