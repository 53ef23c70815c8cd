"""What decodes a chunk of files: in this process for a few, in worker processes for many.

Needs only the standard library and Pillow; see `pool.py` for how it is started.
"""

import os
import pickle
import struct
import sys
import zlib
from collections.abc import Iterator, Sequence
from typing import BinaryIO, NamedTuple

from facegen_keras.data.decode import Record, Settings, Unreachable, Unusable, decode

MAX_BYTES = 128 * 2**20  # of an encoded image: a zip can hold any number of zeros in a few
ZIP_LOCAL_HEADER = struct.Struct("<4s22xHH")  # APPNOTE.TXT 4.3.7: signature .. name, extra length


class ZipSpan(NamedTuple):
    """Where a zip member lies: its header's offset, packed size, method, CRC-32 and flags."""

    offset: int
    packed: int
    method: int
    crc: int
    flags: int


# What stands for one image: a file's path, its place in a zip, or its encoded bytes.
Item = str | ZipSpan | bytes


class Task(NamedTuple):
    """A chunk of work.

    Attributes:
        kind: Where the bytes are: `"folder"`, `"zip"` or `"encoded"`.
        path: The folder or the zip.
        items: File names below the folder; `ZipSpan`s; or the encoded images themselves, where a
            string stands for a file's path.
        settings: Size and crop of the result.
        output: File to write pixels to, or `None` to only report.
        offset: Byte of `output` at which the first item's pixels start.
    """

    kind: str
    path: str
    items: Sequence[Item]
    settings: Settings
    output: str | None = None
    offset: int = 0


def process(task: Task) -> list[Record]:
    """Decode a chunk, write the usable images' pixels, and return a record per item."""
    blank = bytes(task.settings.resolution**2 * 3)  # a refused image keeps its place for now
    records, rows = [], []
    for data in read_items(task):
        if isinstance(data, Unusable):
            problem, detail = data.args
            record = Record(problem, detail, passing=isinstance(data, Unreachable))
            pixels = None
        else:
            record, pixels = decode(data, task.settings)
        records.append(record)
        rows.append(pixels or blank)
    if task.output is not None:
        with open(task.output, "r+b", buffering=0) as output:
            output.seek(task.offset)
            write_all(output, b"".join(rows))
    return records


def read_items(task: Task) -> Iterator[bytes | Unusable]:
    """Yield the encoded bytes of every item, or why they cannot be had."""
    archive = None
    try:
        for item in task.items:
            try:
                if task.kind == "zip" and archive is None:
                    archive = open(task.path, "rb")  # noqa: SIM115 - closed below
                yield _read(task, archive, item)
            except OSError as error:
                yield Unreachable("unreadable", error.strerror or str(error))
            except Unusable as error:
                yield error
    finally:
        if archive is not None:
            archive.close()


def write_all(file: BinaryIO, data: bytes) -> None:
    """Write every byte to an unbuffered file, which may take several calls."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def _read(task: Task, archive: BinaryIO | None, item: Item) -> bytes:
    if isinstance(item, bytes):
        return item
    if isinstance(item, str):
        with open(os.path.join(task.path, item), "rb", buffering=0) as file:
            if os.fstat(file.fileno()).st_size > MAX_BYTES:
                raise _too_large()
            return file.read()
    assert archive is not None  # a `ZipSpan` belongs to a zip
    return _read_member(archive, item)


def _read_member(archive: BinaryIO, span: ZipSpan) -> bytes:
    # The directory of an intact zip is that of a damaged one: damage is `Unreachable`, looked at
    # again when the zip may have been replaced.
    # `zipfile` takes longer to open a member than Pillow takes to decode a 64x64 face.
    if span.flags & 1:
        raise Unusable("unreadable", "the zip member is encrypted")
    archive.seek(span.offset)
    header = archive.read(ZIP_LOCAL_HEADER.size)
    if len(header) < ZIP_LOCAL_HEADER.size or header[:4] != b"PK\x03\x04":
        raise Unreachable("unreadable", "the zip member has no header; is the zip damaged?")
    _, name_length, extra_length = ZIP_LOCAL_HEADER.unpack(header)
    archive.seek(name_length + extra_length, os.SEEK_CUR)
    if span.packed > MAX_BYTES:
        raise _too_large()
    data = archive.read(span.packed)
    if span.method == 8:
        try:
            data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, MAX_BYTES + 1)
            if len(data) > MAX_BYTES:
                raise _too_large()
        except zlib.error as error:
            raise Unreachable("unreadable", f"the zip member is damaged: {error}") from None
    elif span.method != 0:
        raise Unusable("unreadable", f"zip compression method {span.method} is not supported")
    if zlib.crc32(data) != span.crc:
        raise Unreachable("unreadable", "the zip member is damaged: its checksum differs")
    return data


def _too_large() -> Unusable:
    return Unusable("unreadable", f"an encoded image of more than {MAX_BYTES >> 20} MiB")


def serve() -> None:
    """Answer pickled tasks on stdin with pickled records on stdout until stdin closes."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a decoder prints must not end up between the answers
    tasks = sys.stdin.buffer
    while True:
        try:
            task = pickle.load(tasks)
        except EOFError:
            return
        answer: list[Record] | OSError
        try:
            answer = process(task)
        except OSError as error:  # of the output: a full disk
            answer = error
        pickle.dump(answer, answers, protocol=pickle.HIGHEST_PROTOCOL)
        answers.flush()
