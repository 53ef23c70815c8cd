"""`load_faces` and what it returns: a lazy uint8 array of faces of one size."""

import hashlib
import os
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from facegen_keras.data import pool
from facegen_keras.data.arrays import ArraySource, from_memory, open_npy, open_npz
from facegen_keras.data.build import open_or_build
from facegen_keras.data.decode import Settings
from facegen_keras.data.hub import open_hub
from facegen_keras.data.pixels import PixelFile
from facegen_keras.data.resize import open_array
from facegen_keras.data.sources import (
    EXTENSIONS,
    SET_ASIDE,
    WAYS,
    Source,
    missing,
    open_folder,
    open_photo,
    open_zip,
)
from facegen_keras.errors import UserError, check_path, check_whole, printable
from facegen_keras.files.places import HUB_PREFIX
from facegen_keras.resolution import check_resolution

Opener = Callable[[Path, str], Source | ArraySource]


@dataclass(frozen=True)
class LoadReport:
    """How many images of a source were read, and which files were skipped.

    Attributes:
        found: Number of files looked at, without those that are set aside.
        used: Number of usable images.
        skipped: `(name, problem, detail)` of everything that is not used. The problem is
            `"set aside"` for what nobody takes for an image: hidden files, a README, an archive.
    """

    found: int
    used: int
    skipped: tuple[tuple[str, str, str], ...] = ()

    def counts(self) -> dict[str, int]:
        """Count the skipped files by problem, without those that are set aside."""
        result: dict[str, int] = {}
        for _, problem, _ in self.skipped:
            if problem != SET_ASIDE:
                result[problem] = result.get(problem, 0) + 1
        return result

    def __str__(self) -> str:
        """Return one line: `1998 of 2000 images used; skipped 2 truncated (a.jpg, b.jpg)`."""
        if not self.counts():
            return f"{self.used} images"
        parts = []
        for problem, count in self.counts().items():
            names = [printable(name) for name, kind, _ in self.skipped if kind == problem]
            more = ", ..." if count > 3 else ""
            parts.append(f"{count} {problem} ({', '.join(names[:3])}{more})")
        return f"{self.used} of {self.found} images used; skipped {'; '.join(parts)}"


@dataclass(frozen=True, eq=False)
class Faces:
    """Faces of one size, read when asked for.

    `len(faces)` is their number; `faces[3]` is one image, uint8 `(height, width, 3)` RGB;
    `faces[10:20]`, `faces[[1, 5]]` or a boolean mask give `(n, height, width, 3)`. Every read is a
    copy, so that it may be changed.

    Attributes:
        resolution: Side of the images in pixels.
        mirror: Whether training flips half of them at random (see `data.order`). `len()` and
            indexing are not affected.
        fingerprint: SHA-256 (hex) of the names and content of the used files and of the settings
            that shape the pixels. The same on every machine; `mirror` is not part of it.
        report: What was skipped and why.
        source: Where they are from, as the user named it.
    """

    resolution: int
    mirror: bool
    fingerprint: str
    report: LoadReport
    source: str
    pixels: np.ndarray | PixelFile = field(repr=False)
    rows: np.ndarray | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.pixels) if self.rows is None else len(self.rows)

    def __getitem__(self, index: int | slice | Sequence[int] | np.ndarray) -> np.ndarray:
        if isinstance(index, (int, np.integer)):
            if not -len(self) <= index < len(self):
                raise IndexError(f"image {index} of {len(self)}")
            return self.batch(np.array([index % len(self)]))[0]
        return self.batch(np.arange(len(self))[index])

    def batch(self, indices: np.ndarray) -> np.ndarray:
        """Return the images at `indices` (int, `(n,)`) as a new uint8 `(n, height, width, 3)`."""
        indices = np.asarray(indices, dtype=np.int64)
        return self.pixels[indices if self.rows is None else self.rows[indices]]

    def split(self, held_out: float = 0.1, seed: int = 0) -> tuple["Faces", "Faces"]:
        """Return (training, validation) views that share the pixels and no image.

        Args:
            held_out: Fraction of the images in the validation part, between 0 and 1.
            seed: Chooses which.

        Raises:
            UserError: One of the parts would be empty.
        """
        if not isinstance(held_out, int | float):
            raise UserError(f"held_out {held_out!r}: expected a fraction between 0 and 1")
        held = round(len(self) * held_out)
        if not 0 < held < len(self):
            raise UserError(
                f"held_out {held_out} of {len(self)} images leaves one part empty; "
                "give a fraction between 0 and 1, or more images"
            )
        shuffled = np.random.default_rng(np.random.SeedSequence(seed)).permutation(len(self))
        return self._view(np.sort(shuffled[held:])), self._view(np.sort(shuffled[:held]))

    def _view(self, indices: np.ndarray) -> "Faces":
        rows = indices if self.rows is None else self.rows[indices]
        digest = hashlib.sha256(self.fingerprint.encode())
        digest.update(indices.astype("<i8").tobytes())
        return Faces(
            self.resolution,
            self.mirror,
            digest.hexdigest(),
            self.report,
            self.source,
            self.pixels,
            rows,
        )


def load_faces(
    source: str | os.PathLike | np.ndarray,
    resolution: int = 64,
    crop: str | tuple[int, int, int, int] = "center",
    mirror: bool = False,
    limit: int | None = None,
    cache_dir: str | os.PathLike | None = None,
    workers: int | None = None,
    progress: bool = True,
    min_size: int | None = None,
    without: Iterable[str | os.PathLike] = (),
) -> Faces:
    """Decode a source once into a cache of equally sized images, and open it.

    Args:
        source: A folder (nested too; one that holds a single `.zip` and no image stands for that
            zip), a `.zip`, a `.npy` or `.npz` of uint8 `(n, height, width, 3)`, such an array
            itself, `hf:owner/name[:split]` for a Hugging Face data set, or one photo.
        resolution: Side of the images in pixels, a power of two from 8 to 1024.
        crop: `"center"` (the largest square in the middle), `"none"` (the whole image is resized,
            also if that changes its shape), or a box `(left, upper, right, lower)` in pixels, as a
            tuple or as `"left,upper,right,lower"`.
        mirror: Flip half of the training images at random, anew in every epoch.
        limit: Use only this many usable images, the first ones.
        cache_dir: Where decoded images are kept; `FACEGEN_CACHE`, or `facegen_keras`
            in the user's cache folder (`XDG_CACHE_HOME` or `~/.cache`).
        workers: Processes that decode; one per usable core by default.
        progress: Show a progress bar and one line about skipped files.
        min_size: Skip images whose shorter side, after cropping, is below this many pixels; half
            the resolution by default.
        without: Folders below a source folder whose images do not belong to it, such as the output
            folder.

    Raises:
        UserError: Nothing usable is there, a setting is out of range, or the disk is full.
    """
    check_resolution(resolution)
    crop = parse_crop(crop)
    if limit is not None and (not isinstance(limit, int | np.integer) or limit < 1):  # type: ignore[redundant-expr]
        raise UserError(f"limit {limit}: must be 1 or more, or left out for all images")
    if min_size is not None:
        check_whole("min_size", min_size, least=0)
    limit = None if limit is None else int(limit)  # NumPy's have another repr, and no JSON
    resolution, workers = int(resolution), pool.crew_size(workers)
    settings = Settings(resolution, crop, resolution // 2 if min_size is None else min_size)
    listed = open_source(source, without)
    if isinstance(listed, ArraySource):
        entry = open_array(listed, settings, limit, cache_dir, workers, progress)
    else:
        entry = open_or_build(listed, settings, limit, cache_dir, workers, progress)
    used = min(limit or len(entry.pixels), len(entry.pixels))
    rows = np.arange(used) if used < len(entry.pixels) else None  # an array that is used in place
    ignored = tuple(listed.ignored) if isinstance(listed, Source) else ()
    found = entry.found + sum(problem != SET_ASIDE for _, problem, _ in ignored)
    report = LoadReport(found, used, (*entry.skipped, *ignored))
    if report.counts() and progress:
        print(f"{printable(listed.name)}: {report}")
    return Faces(resolution, mirror, entry.fingerprint, report, listed.name, entry.pixels, rows)


def open_source(
    source: str | os.PathLike | np.ndarray, without: Iterable[str | os.PathLike] = ()
) -> Source | ArraySource:
    """List a source of any kind without decoding it; `without` as for `load_faces`.

    Raises:
        UserError: Nothing is there, or it holds no image; names the three ways to get faces.
    """
    if isinstance(source, np.ndarray):
        return from_memory(source)
    check_path("source", source)
    name = os.fspath(source)
    if not name:
        raise UserError(f"an empty path: no photos are named; {WAYS}")
    if name.startswith(HUB_PREFIX):
        return open_hub(name)
    path = Path(os.path.expanduser(name))  # leaves an unknown ~user as it is
    try:
        if path.is_dir():
            return open_folder(path, name, without)
        if not path.is_file():
            raise UserError(missing(name))
        return _opener(path, name)(path, name)
    except PermissionError as error:
        raise UserError(f"{error.filename}: permission denied; make it readable") from None
    except OSError as error:
        raise UserError(f"{name}: cannot be read ({error.strerror or error}); {WAYS}") from None


def _opener(path: Path, name: str) -> Opener:
    """What opens a file: its extension decides, and its content where that says nothing."""
    extension = path.suffix.lower()
    openers: dict[str, Opener] = {".npy": open_npy, ".npz": open_npz, ".zip": open_zip}
    openers |= dict.fromkeys(EXTENSIONS, open_photo)
    if extension in openers:
        return openers[extension]
    with open(path, "rb") as file:
        if zipfile.is_zipfile(file):
            return open_zip
    if not extension:
        return open_photo
    raise UserError(
        f"{name}: {extension} files are not read; convert photos to PNG or JPEG "
        f"(read are {', '.join(openers)})"
    )


def parse_crop(crop: str | tuple[int, int, int, int]) -> str | tuple[int, int, int, int]:
    """Return `"none"`, `"center"` or the four edges of a box.

    Raises:
        UserError: It is something else, or an empty box.
    """
    if crop in ("none", "center"):
        return crop
    try:
        edges = crop.split(",") if isinstance(crop, str) else crop
        left, upper, right, lower = (int(edge) for edge in edges)
    except (TypeError, ValueError):
        left = upper = right = lower = 0
    if not (0 <= left < right and 0 <= upper < lower):
        raise UserError(
            f"crop {crop!r}: must be none, center, or left,upper,right,lower in pixels, "
            "such as 15,40,163,188"
        )
    return left, upper, right, lower
