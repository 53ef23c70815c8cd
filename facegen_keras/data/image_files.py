"""Sizes and formats of image files before they are resized."""

import io
import zipfile
from collections import Counter
from pathlib import Path

from PIL import Image

from facegen_keras.data.faces import open_source
from facegen_keras.data.sources import Source

INSPECTED = 16  # files, spread over the set
JPEG = ("JPEG", "MPO")


def format_and_side(source: str) -> tuple[str, int] | None:
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
    names = listed.names
    chosen = names[:: max(1, len(names) // INSPECTED)][:INSPECTED]
    archive = zipfile.ZipFile(listed.path) if listed.kind == "zip" else None
    found = []
    try:
        for name in chosen:
            try:
                data = archive.read(name) if archive else (Path(listed.path) / name).read_bytes()
                with Image.open(io.BytesIO(data)) as image:
                    found.append((image.format or "?", min(image.size)))
            except (OSError, KeyError, ValueError, zipfile.BadZipFile):
                continue  # the loader counts and names broken files
    finally:
        if archive:
            archive.close()
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
