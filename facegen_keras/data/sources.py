"""Where faces come from: a folder, a zip, an array file or a Hugging Face data set.

Opening a source lists it and reads no image. `Source.task` describes a chunk of it to a worker.
"""

import contextlib
import difflib
import errno
import hashlib
import os
import stat
import zipfile
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Protocol

from facegen_keras.data.decode import Settings
from facegen_keras.data.worker import Item, Task, ZipSpan
from facegen_keras.errors import UserError
from facegen_keras.files.limits import open_archive
from facegen_keras.files.own_pictures import NOT_A_FACE, is_own_name
from facegen_keras.files.places import HUB_PREFIX

EXTENSIONS = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp")

# Files that are often found beside images and are not meant as images: listed, and no problem.
COMPANY = ("readme", "license", "licence", "thumbs.db", "desktop.ini")
NAMED = 5  # of what is there instead of a path
MAGIC = (b"\xff\xd8\xff", b"\x89PNG", b"RIFF", b"BM")  # with which JPEG, PNG, WebP and BMP begin
MOST_MAGIC = 4  # bytes
ARCHIVES = (".zip", ".npy", ".npz")
AN_ARCHIVE = "an archive beside images; name it to read it"
SET_ASIDE = "set aside"  # the problem of what nobody would take for an image
MACOS, MACOS_NOTES = "__MACOSX", "where macOS keeps notes of its own"

Ignored = tuple[str, str, str]  # name, problem, detail

WAYS = (
    "give a folder or .zip of your own photos, hf:owner/name for a Hugging Face data set, "
    "or the bundled dataset/sample_faces.zip"
)


def check_there(name: str) -> None:
    """Refuse a path where there is nothing; a data set of the hub is not looked for.

    Raises:
        UserError: There is no such file or folder; names the three ways to get faces.
    """
    if not name:
        raise UserError(f"an empty path: no photos are named; {WAYS}")
    if not name.startswith(HUB_PREFIX) and not os.path.exists(os.path.expanduser(name)):
        raise UserError(missing(name))


def missing(name: str) -> str:
    """The message about a path where there is nothing: what is there instead, and the ways."""
    place = Path(os.path.expanduser(name)).parent  # an unknown ~user stays as it is
    while not place.is_dir() and place != place.parent:
        place = place.parent
    found = []
    with contextlib.suppress(OSError):
        for entry in sorted(place.iterdir()):
            photos = entry.suffix.lower() in (*EXTENSIONS, *ARCHIVES)
            if not entry.name.startswith(".") and (photos or entry.is_dir()):
                found.append(f"{entry.name}/" if entry.is_dir() else entry.name)
    alike = difflib.get_close_matches(Path(name).name, found, n=1)
    listed = ", ".join((alike or found)[:NAMED])
    there = f"; {'here' if place == Path() else f'in {place}'} there is: {listed}" if listed else ""
    return f"{name}: no such file or folder{there}; {WAYS}"


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
        ignored: `(name, problem, detail)` of everything else that is there.
    """

    name: str
    kind: str
    path: str
    names: Sequence[str]
    items: Items
    stamp: str
    ignored: list[Ignored] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.names)

    def task(
        self, start: int, stop: int, settings: Settings, output: str | None = None, offset: int = 0
    ) -> Task:
        """Describe the candidates `start:stop` to a worker; see `worker.Task`."""
        return Task(self.kind, self.path, self.items[start:stop], settings, output, offset)


def _verdict(name: str) -> tuple[str, str]:
    """Why a relative name is no candidate: a problem and its detail; `("", "")` for a candidate."""
    if any(part.startswith(".") and part != "." for part in name.split("/")):
        return SET_ASIDE, "a hidden file"
    if f"/{name}".find(f"/{MACOS}/") >= 0:
        return SET_ASIDE, MACOS_NOTES
    last = name.lower().rpartition("/")[2]
    stem, dot, extension = last.rpartition(".")
    stem, extension = (stem, dot + extension) if dot else (last, "")
    if is_own_name(last):
        return NOT_A_FACE
    if extension in EXTENSIONS:
        return "", ""
    if extension in ARCHIVES:
        return "not an image", AN_ARCHIVE
    if last in COMPANY or stem in COMPANY:
        return SET_ASIDE, "about the images, by its name"
    # A file without an extension may be anything; its content decides.
    return ("not an image", "by its extension") if extension else ("", "")


def _may_be_an_image(path: Path) -> bool:
    """By its extension, or where it has none by its first bytes."""
    if path.suffix:
        return True
    try:
        with open(path, "rb") as file:
            return file.read(MOST_MAGIC).startswith(MAGIC)
    except OSError:
        return True  # decoding says what is wrong


def open_folder(
    path: Path, name: str | None = None, without: Iterable[str | os.PathLike] = ()
) -> Source:
    """List a folder and everything below it, except the folders `without`.

    A folder that holds no image and exactly one `.zip` stands for that zip: `--data_path ./dataset`
    means the bundled `dataset/sample_faces.zip` until photos of your own are put beside it.
    """
    name = name or str(path)
    found: list[tuple[str, int, int]] = []
    ignored: list[Ignored] = []
    for relative, info, problem, detail in _walk(path, without):
        if not problem:
            problem, detail = _verdict(relative)
        if problem:
            ignored.append((relative, problem, detail))
        else:
            found.append((relative, info.st_size, info.st_mtime_ns))
    archives = sorted(item for item, _, detail in ignored if detail == AN_ARCHIVE)
    zips = [item for item in archives if item.lower().endswith(".zip")]
    if zips and not any(_may_be_an_image(path / item) for item, _, _ in found):
        found = []  # a list of checksums beside a zip
    if not found:
        if len(zips) == 1:
            return open_zip(path / zips[0])
        if zips:
            listed = ", ".join(zips[:3])
            raise UserError(f"{name}: no image but several zips ({listed}); give one of them")
        raise UserError(_no_image(name, ignored))
    found.sort()
    listing = hashlib.sha256(str(path.resolve()).encode("utf-8", "surrogateescape"))
    for relative, size, modified in found:
        listing.update(f"{relative}\0{size}\0{modified}\n".encode("utf-8", "surrogateescape"))
    for archive in archives:  # the cache of the folder does not know of it
        listing.update(f"not opened {archive}\n".encode("utf-8", "surrogateescape"))
    names = [relative for relative, _, _ in found]
    return Source(
        name, "folder", str(path), names, names, f"folder {listing.hexdigest()}", sorted(ignored)
    )


def _walk(
    root: Path, without: Iterable[str | os.PathLike]
) -> Iterator[tuple[str, os.stat_result, str, str]]:
    """Yield (relative name, status, problem, detail) of everything below; "" where there is none.

    Links are followed once. The name of a folder that is not entered ends in a slash.
    """
    left_out = set()
    for folder in without:
        with contextlib.suppress(OSError):  # it is not there yet
            left_out.add(_identity(os.stat(folder)))
    status = os.stat(root)
    seen = {_identity(status)}
    left_out -= seen  # what is asked for is never left out
    stack = [("", os.fspath(root))]
    while stack:
        prefix, folder = stack.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                relative = prefix + entry.name
                try:
                    is_folder = entry.is_dir()
                    status = os.stat(entry.path) if is_folder else entry.stat()
                except OSError as error:
                    yield relative, status, "unreadable", _unreachable(error)
                    continue
                if not is_folder:
                    is_file = stat.S_ISREG(status.st_mode)
                    yield relative, status, *(("", "") if is_file else _no_file(status.st_mode))
                elif reason := _why_closed(entry.name, _identity(status), left_out, seen):
                    yield f"{relative}/", status, SET_ASIDE, reason
                else:
                    seen.add(_identity(status))
                    stack.append((f"{relative}/", entry.path))


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _why_closed(
    name: str,
    identity: tuple[int, int],
    left_out: Collection[tuple[int, int]],
    seen: Collection[tuple[int, int]],
) -> str:
    """Why a folder is not entered, or ""."""
    if name.startswith("."):
        return "a hidden folder"
    if name == MACOS:
        return MACOS_NOTES
    if identity in left_out:
        return "the folder of the output"
    return "a link to a folder that is read already" if identity in seen else ""


def _unreachable(error: OSError) -> str:
    """Why an entry of a folder has no file behind it."""
    reasons = {errno.ELOOP: "a link to itself", errno.ENOENT: "a link to nothing"}
    return reasons.get(error.errno or 0) or error.strerror or str(error)


def _no_file(mode: int) -> tuple[str, str]:
    """The problem of an entry that is neither a file nor a folder, and what it is."""
    kinds = {stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket"}
    return "unreadable", f"{kinds.get(stat.S_IFMT(mode), 'a device')}, not a file"


def open_zip(path: Path, name: str | None = None) -> Source:
    """List a zip by its central directory; folders inside it may be nested."""
    name = name or str(path)
    try:
        with open_archive(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise UserError(
            f"{name}: not a readable zip ({error}); download or pack it again"
        ) from None
    found, ignored = [], []
    for member in members:
        if member.is_dir():
            continue
        problem, detail = _verdict(member.filename)
        if problem:
            ignored.append((member.filename, problem, detail))
        else:
            found.append(member)
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


def _no_image(name: str, others: Sequence[Ignored]) -> str:
    """Say what a folder or zip holds instead of images."""
    kinds = Counter(
        PurePosixPath(other).suffix.lower()
        for other, problem, _ in others
        if problem == "not an image"
    )
    seen = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(3))
    advice = f", but {seen} (convert photos to PNG or JPEG)" if seen else ""
    return f"{name}: no image found{advice}; expected {', '.join(EXTENSIONS)} inside; {WAYS}"


def open_photo(path: Path, name: str) -> Source:
    """List a single photo."""
    info = path.stat()
    stamp = f"photo {path.resolve()} {info.st_size} {info.st_mtime_ns}"
    return Source(name, "folder", str(path.parent), [path.name], [path.name], stamp)
