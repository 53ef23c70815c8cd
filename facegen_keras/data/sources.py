"""Where faces come from: a folder, a zip, an array file or a Hugging Face data set.

Opening a source lists it and reads no image. `Source.task` describes a chunk of it to a worker.
"""

import contextlib
import hashlib
import os
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Protocol

from facegen_keras.data.decode import Settings
from facegen_keras.data.worker import Item, Task, ZipSpan
from facegen_keras.errors import UserError

EXTENSIONS = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp")

# Files that are often found beside images and are not meant as images: skipped without a word.
SILENT_NAMES = ("readme", "license", "licence", "thumbs.db", "desktop.ini")
ARCHIVES = (".zip", ".npy", ".npz")

WAYS = (
    "give a folder or .zip of your own photos, hf:owner/name for a Hugging Face data set, "
    "or the bundled dataset/sample_faces.zip"
)


class Items(Protocol):
    """A list of items, or something that reads a slice of them when it is asked for."""

    def __getitem__(self, part: slice, /) -> Sequence[Item]: ...


@dataclass
class Source:
    """A listed source.

    Attributes:
        name: What the user gave, for messages.
        kind: `"folder"`, `"zip"` or `"encoded"`, as in `worker.Task`.
        path: The folder or zip that workers read.
        names: The candidates, as sorted relative names with forward slashes.
        items: What a worker needs to find each candidate.
        stamp: Changes when the content may have changed; quick to compute.
        ignored: Names of files that are not images by their extension.
    """

    name: str
    kind: str
    path: str
    names: Sequence[str]
    items: Items
    stamp: str
    ignored: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.names)

    def task(
        self, start: int, stop: int, settings: Settings, output: str | None = None, offset: int = 0
    ) -> Task:
        """Describe the candidates `start:stop` to a worker; see `worker.Task`."""
        return Task(self.kind, self.path, self.items[start:stop], settings, output, offset)


def _verdict(name: str) -> str:
    """Sort a relative name into `"image"`, `"other"` or `"silent"`."""
    if name.startswith(".") or "/." in name or f"/{name}".find("/__MACOSX/") >= 0:
        return "silent"
    last = name.lower().rpartition("/")[2]
    stem, dot, extension = last.rpartition(".")
    stem, extension = (stem, dot + extension) if dot else (last, "")
    if extension in EXTENSIONS:
        return "image"
    if last in SILENT_NAMES or stem in SILENT_NAMES or extension in ARCHIVES:
        return "silent"
    # A file without an extension may be anything; its content decides.
    return "image" if not extension else "other"


def open_folder(
    path: Path, name: str | None = None, without: Iterable[str | os.PathLike] = ()
) -> Source:
    """List a folder and everything below it, except the folders `without`.

    A folder that holds no image and exactly one `.zip` stands for that zip: `--data_path ./dataset`
    means the bundled `dataset/sample_faces.zip` until photos of your own are put beside it.
    """
    name = name or str(path)
    found: list[tuple[str, int, int]] = []
    ignored, archives = [], []
    for relative, entry in _walk(path, without):
        verdict = _verdict(relative)
        if verdict == "image":
            info = entry.stat()
            found.append((relative, info.st_size, info.st_mtime_ns))
        elif verdict == "other":
            ignored.append(relative)
        elif relative.lower().endswith(".zip"):
            archives.append(relative)
    if not found:
        if len(archives) == 1:
            return open_zip(path / archives[0])
        if archives:
            listed = ", ".join(sorted(archives)[:3])
            raise UserError(f"{name}: no image but several zips ({listed}); give one of them")
        raise UserError(_no_image(name, ignored))
    found.sort()
    listing = hashlib.sha256(str(path.resolve()).encode("utf-8", "surrogateescape"))
    for relative, size, modified in found:
        listing.update(f"{relative}\0{size}\0{modified}\n".encode("utf-8", "surrogateescape"))
    names = [relative for relative, _, _ in found]
    return Source(
        name, "folder", str(path), names, names, f"folder {listing.hexdigest()}", sorted(ignored)
    )


def _walk(
    root: Path, without: Iterable[str | os.PathLike]
) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield (relative name, directory entry) of every file, following links once."""
    seen = set()
    for folder in without:
        with contextlib.suppress(OSError):  # it is not there yet
            info = os.stat(folder)
            seen.add((info.st_dev, info.st_ino))
    info = os.stat(root)
    seen.discard((info.st_dev, info.st_ino))  # what is asked for is never left out
    stack = [("", os.fspath(root))]
    while stack:
        prefix, folder = stack.pop()
        info = os.stat(folder)
        if (info.st_dev, info.st_ino) in seen:  # a link back up
            continue
        seen.add((info.st_dev, info.st_ino))
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir():
                    if not entry.name.startswith(".") and entry.name != "__MACOSX":
                        stack.append((f"{prefix}{entry.name}/", entry.path))
                elif entry.is_file():
                    yield prefix + entry.name, entry


def open_zip(path: Path, name: str | None = None) -> Source:
    """List a zip by its central directory; folders inside it may be nested."""
    name = name or str(path)
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise UserError(
            f"{name}: not a readable zip ({error}); download or pack it again"
        ) from None
    found, ignored = [], []
    for member in members:
        if member.is_dir():
            continue
        verdict = _verdict(member.filename)
        if verdict == "image":
            found.append(member)
        elif verdict == "other":
            ignored.append(member.filename)
    if not found:
        raise UserError(_no_image(name, ignored))
    found.sort(key=lambda member: member.filename)
    listing = hashlib.sha256()
    for member in found:
        line = f"{member.filename}\0{member.file_size}\0{member.CRC:08x}\n"
        listing.update(line.encode("utf-8", "surrogateescape"))
    spans = [
        ZipSpan(m.header_offset, m.compress_size, m.compress_type, m.CRC, m.flag_bits)
        for m in found
    ]
    names = [member.filename for member in found]
    return Source(
        name, "zip", str(path), names, spans, f"zip {listing.hexdigest()}", sorted(ignored)
    )


def _no_image(name: str, others: Sequence[str]) -> str:
    """Say what a folder or zip holds instead of images."""
    kinds = Counter(PurePosixPath(other).suffix.lower() for other in others)
    seen = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(3))
    advice = f", but {seen} (convert photos to PNG or JPEG)" if seen else ""
    return f"{name}: no image found{advice}; expected {', '.join(EXTENSIONS)} inside; {WAYS}"


def open_photo(path: Path, name: str) -> Source:
    """List a single photo."""
    info = path.stat()
    stamp = f"photo {path.resolve()} {info.st_size} {info.st_mtime_ns}"
    return Source(name, "folder", str(path.parent), [path.name], [path.name], stamp)
