"""What image files say about themselves before they are resized: sizes and formats."""

import io
import zipfile
from collections import Counter
from pathlib import Path

from PIL import Image

from facegen_keras.data.faces import open_source

LOOKED_AT = 16  # files, spread over the set
JPEG = ("JPEG", "MPO")


def look(source: str) -> tuple[str, int] | None:
    """The most common format and shorter side (pixels) of some images of a folder or zip.

    Returns:
        For example `("PNG", 128)`; None where nothing can be told (an array, a hub data set).
    """
    listed = open_source(source)
    kind, names = getattr(listed, "kind", None), getattr(listed, "names", ())
    if kind not in ("folder", "zip") or not names:
        return None
    chosen = names[:: max(1, len(names) // LOOKED_AT)][:LOOKED_AT]
    archive = zipfile.ZipFile(listed.path) if kind == "zip" else None
    found = []
    try:
        for name in chosen:
            try:
                data = archive.read(name) if archive else (Path(listed.path) / name).read_bytes()
                with Image.open(io.BytesIO(data)) as image:
                    found.append((image.format or "?", min(image.size)))
            except (OSError, KeyError, ValueError, zipfile.BadZipFile):
                continue  # the loader counts and names what is broken
    finally:
        if archive:
            archive.close()
    if not found:
        return None
    formats, sides = zip(*found, strict=True)
    return Counter(formats).most_common(1)[0][0], Counter(sides).most_common(1)[0][0]


def doubts(
    samples: tuple[str, int] | None, photos: tuple[str, int] | None, resolution: int
) -> list[str]:
    """Reasons to mistrust a comparison of these files at a resolution, each a sentence."""
    found = []
    for what, seen in (("samples", samples), ("photos", photos)):
        if seen is not None and seen[1] < resolution:
            found.append(
                f"the {what} are only {seen[1]} pixels wide and are enlarged to {resolution}: "
                "their blur counts as a difference between faces"
            )
    if samples and photos and (samples[0] in JPEG) != (photos[0] in JPEG):
        found.append(
            f"the samples are {samples[0]} and the photos {photos[0]}: the traces of JPEG on one "
            "side count as a difference between faces"
        )
    return found
