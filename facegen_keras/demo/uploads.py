"""Photos that visitors upload: few, small, decoded as untrusted, and deleted once read."""

import io
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from facegen_keras.data.decode import FORMATS, Settings, decode
from facegen_keras.data.faces import parse_crop
from facegen_keras.errors import UserError

MOST_PHOTOS = 100
MOST_BYTES = 10_000_000  # of one photo
MOST_PIXELS = 50_000_000  # a few kB can hold more, and fill the memory when they are decoded


def read_uploads(
    paths: Sequence[str | os.PathLike], resolution: int, crop: str = "center"
) -> np.ndarray:
    """Decode uploaded photos and delete their files, also where one of them is refused.

    Args:
        paths: Files that were written for this call alone.
        resolution: Side of the result, in pixels.
        crop: As for `load_faces`.

    Returns:
        uint8 `(n, resolution, resolution, 3)`.

    Raises:
        UserError: None or too many are given, or one is too large or not a photo.
    """
    files = [Path(path) for path in paths]
    try:
        if not 1 <= len(files) <= MOST_PHOTOS:
            raise UserError(f"{len(files)} photos: expected 1 to {MOST_PHOTOS}")
        settings = Settings(resolution, parse_crop(crop))
        return np.stack([_read(file, settings) for file in files])
    finally:
        for file in files:
            file.unlink(missing_ok=True)


def _read(file: Path, settings: Settings) -> np.ndarray:
    if not file.is_file():
        raise UserError(f"{file.name}: deleted since it was read; choose it again")
    if file.stat().st_size > MOST_BYTES:
        raise UserError(f"{file.name}: expected at most {MOST_BYTES // 10**6} MB")
    data = file.read_bytes()
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:  # reads the header alone
            width, height = image.size
    except Exception:  # a broken file can make Pillow raise nearly anything
        raise UserError(f"{file.name}: not a photo; expected {', '.join(FORMATS)}") from None
    if width * height > MOST_PIXELS:
        raise UserError(
            f"{file.name}: {width}x{height}; expected at most {MOST_PIXELS // 10**6} megapixels"
        )
    record, pixels = decode(data, settings)
    if pixels is None:
        raise UserError(f"{file.name}: {record.problem} ({record.detail})")
    side = settings.resolution
    return np.frombuffer(pixels, "uint8").reshape(side, side, 3)
