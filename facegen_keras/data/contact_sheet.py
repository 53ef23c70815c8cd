"""The contact sheet of a diagnosis: a sample of the faces, and the unusual ones by name."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from facegen_keras.data.arrays import ArraySource
from facegen_keras.data.decode import Settings, decode
from facegen_keras.data.doctor import Diagnosis
from facegen_keras.data.sources import Source
from facegen_keras.data.worker import read_items
from facegen_keras.errors import printable
from facegen_keras.files.atomic import replacing
from facegen_keras.files.own_pictures import marked

SIDE = 128  # of a thumbnail, pixels
COLUMNS = 8
SAMPLE = 8 * COLUMNS  # usable images shown
UNUSUAL = COLUMNS  # images shown of each unusual kind
LETTERS = 12  # size of Pillow's built-in font
TEXT = 17  # height of a line
GAP = 4
PITCH = SIDE + GAP  # from one thumbnail to the next


def draw_contact_sheet(source: Source | ArraySource, diagnosis: Diagnosis, path: Path) -> None:
    """Write the contact sheet of a diagnosed source as a PNG.

    It shows up to 64 usable images spread evenly over the source, then up to 8 of every odd mode,
    of the duplicates and of every problem, each with its name. Files that cannot be decoded appear
    as crossed boxes.

    Args:
        source: As `open_source` returns it.
        diagnosis: Of this source.
        path: The PNG to write.
    """
    names = source.names
    bad = {finding.name for group in diagnosis.unusable.values() for finding in group}
    good = [place for place, name in enumerate(names) if name not in bad]
    step = max(1, len(good) / SAMPLE)
    sample = [good[int(number * step)] for number in range(min(SAMPLE, len(good)))]
    strips = [(f"{diagnosis.source}: {diagnosis.usable:,} usable", _load(source, sample))]
    groups = {f"mode {mode}": findings for mode, findings in diagnosis.odd_modes.items()}
    groups |= diagnosis.unusable
    unusual = {title: [finding.name for finding in group] for title, group in groups.items()}
    if diagnosis.duplicates:
        unusual["duplicates"] = [name for group in diagnosis.duplicates for name in group]
    places = {name: place for place, name in enumerate(names)}
    for title, members in unusual.items():
        shown = [(name, places.get(name)) for name in members[:UNUSUAL]]
        tiles = [
            (name, _load(source, [place])[0][1] if place is not None else None)
            for name, place in shown
        ]
        strips.append((f"{title}: {len(members):,}", tiles))
    with replacing(path) as temporary:
        _paint(strips).save(temporary, pnginfo=marked())


def _load(
    source: Source | ArraySource, places: Sequence[int]
) -> list[tuple[str, Image.Image | None]]:
    """(name, thumbnail or None) of some candidates."""
    names = source.names
    if isinstance(source, ArraySource):
        images = _rows(source, places)
        return [(names[place], image) for place, image in zip(places, images, strict=True)]
    settings = Settings(SIDE)
    result = []
    for place in places:
        (data,) = read_items(source.task(place, place + 1, settings))
        pixels = decode(data, settings)[1] if isinstance(data, bytes) else None
        image = Image.frombytes("RGB", (SIDE, SIDE), pixels) if pixels else None
        result.append((names[place], image))
    return result


def _rows(source: ArraySource, places: Sequence[int]) -> list[Image.Image]:
    wanted = set(places)
    thumbnails: dict[int, Image.Image] = {}
    every = (image for images in source.chunks(len(source)) for image in images)
    for place, pixels in enumerate(every):
        if place in wanted:
            image = Image.fromarray(pixels)
            thumbnails[place] = image.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    return [thumbnails[place] for place in places]


def _paint(strips: list[tuple[str, list[tuple[str, Image.Image | None]]]]) -> Image.Image:
    """Stack strips of (title, tiles) below each other, each tile with its name."""

    def strip_height(tiles: list[tuple[str, Image.Image | None]]) -> int:
        return -(-len(tiles) // COLUMNS) * (PITCH + TEXT)

    height = GAP + sum(TEXT + GAP + strip_height(tiles) for _, tiles in strips)
    font = ImageFont.load_default(LETTERS)
    width = max(
        max(font.getlength(_latin(title)), min(len(tiles), COLUMNS) * PITCH)
        for title, tiles in strips
    )
    sheet = Image.new("RGB", (2 * GAP + math.ceil(width), height), "white")
    pen = ImageDraw.Draw(sheet)
    pen.font = font
    top = GAP
    for title, tiles in strips:
        pen.text((GAP, top), _latin(title), fill="black")
        top += TEXT + GAP
        for number, (name, image) in enumerate(tiles):
            x = GAP + number % COLUMNS * PITCH
            y = top + number // COLUMNS * (PITCH + TEXT)
            if image is not None:
                sheet.paste(image, (x, y))
            else:
                pen.rectangle((x, y, x + SIDE - 1, y + SIDE - 1), outline="red")
                pen.line((x, y, x + SIDE - 1, y + SIDE - 1), fill="red")
            label = _fitting(_latin(name.rpartition("/")[2]), font.getlength)
            pen.text((x, y + SIDE), label, fill="black")
        top += strip_height(tiles)
    return sheet


def _fitting(name: str, length: Callable[[str], float]) -> str:
    """A file name that fits below its thumbnail: of a long one the middle is left out.

    Args:
        name: Of the file, without its folder.
        length: The width of a text in pixels.
    """
    room = SIDE
    kept, short = len(name), name
    while length(short) > room and kept > 2:
        kept -= 1
        short = f"{name[: kept - kept // 2]}..{name[-(kept // 2) :]}"
    return short


def _latin(text: str) -> str:
    """Replace the letters that Pillow's built-in font lacks."""
    return printable(text).encode("latin-1", "replace").decode("latin-1")
