"""Sizes and formats of image files before they are resized."""

import io
import os
from collections import Counter

from PIL import Image

from facegen_keras.data.decode import FORMATS, Settings
from facegen_keras.data.faces import open_source
from facegen_keras.data.sources import Source
from facegen_keras.data.worker import read_items
from facegen_keras.files.own_pictures import KEYWORD

INSPECTED = 16  # files, spread over the set
JPEG = ("JPEG", "MPO")


def format_and_side(source: str | os.PathLike) -> tuple[str, int] | None:
    """The most common format and shorter side (pixels) of some images of a folder or zip.

    Args:
        source: Anything that `load_faces` takes.

    Returns:
        For example `("PNG", 128)`; None for an array or a hub data set, which have no such files,
        and where no image can be read.
    """
    listed = open_source(source)
    if not isinstance(listed, Source) or listed.kind not in ("folder", "zip") or not listed.names:
        return None
    found = []
    for place in range(0, len(listed), max(1, len(listed) // INSPECTED))[:INSPECTED]:
        (data,) = read_items(listed.task(place, place + 1, Settings(1)))
        if not isinstance(data, bytes):
            continue  # the loader counts and names broken files
        try:
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                if KEYWORD not in image.info:
                    found.append((image.format or "?", min(image.size)))
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            continue
    if not found:
        return None
    formats, sides = zip(*found, strict=True)
    return Counter(formats).most_common(1)[0][0], Counter(sides).most_common(1)[0][0]


def comparison_warnings(
    samples: tuple[str, int] | None, photos: tuple[str, int] | None, resolution: int
) -> list[str]:
    """Reasons to mistrust a comparison of these files, one sentence each.

    Args:
        samples: Format and side of the samples, from `format_and_side`.
        photos: Format and side of the photos.
        resolution: At which they are compared, in pixels.
    """
    found = []
    for what, files in (("samples", samples), ("photos", photos)):
        if files is not None and files[1] < resolution:
            found.append(
                f"the {what} are only {files[1]} pixels wide and are enlarged to {resolution}: "
                "their blur counts as a difference between faces"
            )
    if samples and photos and (samples[0] in JPEG) != (photos[0] in JPEG):
        found.append(
            f"the samples are {samples[0]} and the photos {photos[0]}: the traces of JPEG on one "
            "side count as a difference between faces"
        )
    return found
