"""The data set doctor: what is in a source, and what training would skip."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field

from facegen_keras.data import build, pool
from facegen_keras.data.arrays import ArraySource
from facegen_keras.data.decode import Record, Settings, Unusable, crop_box
from facegen_keras.data.sources import SET_ASIDE, Ignored, Source
from facegen_keras.data.worker import read_items

USUAL_MODE = "RGB"


@dataclass(frozen=True)
class Finding:
    """One file that is unusable or unusual.

    Attributes:
        name: Relative name inside the source.
        detail: One line about it.
        width: In pixels, 0 if unknown.
        height: In pixels, 0 if unknown.
        size: Encoded bytes.
        mode: Pillow's mode, `""` if unknown.
    """

    name: str
    detail: str
    width: int
    height: int
    size: int
    mode: str


@dataclass(frozen=True)
class Diagnosis:
    """What the doctor found.

    Attributes:
        source: As the user named it.
        files: Number of files examined, without those that are set aside.
        usable: Number of images that training uses.
        unusable: Findings by problem: unreadable, truncated, not an image, not a face, too small,
            outside the crop. Training skips all of them.
        odd_modes: Usable images that are not plain RGB, by mode; they are converted.
        duplicates: Groups of names with the same content, byte for byte; training uses them all.
        modes: Number of readable images by mode.
        formats: Number of readable images by format.
        sizes: Number of readable images by `"WIDTHxHEIGHT"`, the most frequent first.
        bytes: Total encoded size of all candidates.
        set_aside: What nobody takes for an image, and is not used: hidden files, a README, an
            archive, a folder of output.
    """

    source: str
    files: int
    usable: int
    unusable: dict[str, list[Finding]]
    odd_modes: dict[str, list[Finding]]
    duplicates: list[list[str]]
    modes: dict[str, int]
    formats: dict[str, int]
    sizes: dict[str, int]
    bytes: int
    set_aside: list[Finding] = field(default_factory=list)

    def to_json(self) -> dict:
        """Everything as plain lists and dictionaries."""
        return asdict(self)


def examine(
    source: Source | ArraySource,
    settings: Settings,
    workers: int | None = None,
    progress: bool = True,
) -> Diagnosis:
    """Decode every file of a source as training would, and report what was found.

    Args:
        source: As `open_source` returns it.
        settings: Resolution, crop and minimum size of the intended training.
        workers: Processes that decode; by default one per usable core.
        progress: Show a progress bar.

    Raises:
        UserError: `workers` is less than one, or the crop is too small for the resolution.
    """
    crew = pool.crew_size(workers)
    with build.progress_bar(len(source), progress, "checking") as bar:
        if isinstance(source, ArraySource):
            ignored: list[Ignored] = []
            records = _array_records(source, settings, bar.update)
        else:
            build.check_crop(settings)
            ignored = source.ignored
            records = pool.decode_range(source, 0, len(source), settings, None, 0, crew, bar.update)
    names = source.names
    unusable: dict[str, list[Finding]] = {}
    odd: dict[str, list[Finding]] = {}
    for name, record in zip(names, records, strict=True):
        if record.problem:
            unusable.setdefault(record.problem, []).append(_finding(name, record))
        elif record.mode != USUAL_MODE:
            odd.setdefault(record.mode, []).append(_finding(name, record))
    aside: list[Finding] = []
    for name, problem, detail in ignored:
        group = aside if problem == SET_ASIDE else unusable.setdefault(problem, [])
        group.append(_finding(name, Record(problem, detail)))
    return Diagnosis(
        source=source.name,
        files=len(records) + len(ignored) - len(aside),
        usable=sum(not record.problem for record in records),
        unusable=unusable,
        odd_modes=odd,
        duplicates=_duplicates(source, names, records),
        modes=_count(record.mode for record in records),
        formats=_count(record.format for record in records),
        sizes=_count(f"{r.width}x{r.height}" if r.width else "" for r in records),
        bytes=sum(record.size for record in records),
        set_aside=aside,
    )


def _finding(name: str, record: Record) -> Finding:
    return Finding(name, record.detail, record.width, record.height, record.size, record.mode)


def _count(values: Iterable[str]) -> dict[str, int]:
    return dict(Counter(value for value in values if value).most_common())


def _array_records(
    source: ArraySource, settings: Settings, advance: Callable[[int], object]
) -> list[Record]:
    _, height, width, _ = source.shape
    problem, detail = "", ""
    try:
        crop_box(width, height, settings._replace(min_size=1))  # as `resize.open_array` asks
    except Unusable as error:
        problem, detail = error.args
    records = []
    for images in source.chunks(len(source)):
        for image in images:
            # Rows have no file to hash again, so this checksum is long enough on its own.
            check = int.from_bytes(hashlib.sha256(image).digest()[:16])
            records.append(
                Record(problem, detail, width, height, USUAL_MODE, "array", check, image.nbytes)
            )
        advance(len(images))
    return records


def _duplicates(
    source: Source | ArraySource, names: Sequence[str], records: Sequence[Record]
) -> list[list[str]]:
    """Group the names of files with the same content; empty files do not count."""
    alike: dict[tuple[int, int], list[int]] = {}
    for position, record in enumerate(records):
        if record.size:
            alike.setdefault((record.size, record.crc), []).append(position)
    groups = []
    for positions in alike.values():
        if len(positions) == 1:
            continue
        same: dict[object, list[str]] = {}
        for position in positions:
            if isinstance(source, ArraySource):
                content: object = records[position].crc
            else:  # CRC-32 and size can match by chance
                (data,) = read_items(source.task(position, position + 1, Settings(1)))
                content = hashlib.sha256(data).digest() if isinstance(data, bytes) else position
            same.setdefault(content, []).append(names[position])
        groups += [group for group in same.values() if len(group) > 1]
    return groups
