"""Pictures from arrays: grids of faces, single faces, films. NumPy and Pillow only."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from facegen_keras.errors import UserError, check_path, check_whole
from facegen_keras.files.atomic import replacing
from facegen_keras.files.own_pictures import marked

FRAMES_PER_SECOND = 24
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")  # file name endings
# Typing errors such as 0-99999999999 and 99999x99999 must not fill the memory.
MAX_FACES = 1_000_000
_MAX_WHITE = 1000  # places of a grid without a face


def check_grid(shape: tuple[int, int], count: int) -> None:
    """Refuse far more places than images.

    Args:
        shape: Columns and rows.
        count: Number of images.

    Raises:
        UserError: More than 1,000 places would stay white.
    """
    columns, rows = shape
    if columns * rows - count > _MAX_WHITE:
        raise UserError(
            f"grid {columns}x{rows}: {columns * rows:,} places for {count:,} images; expected at "
            f"most {_MAX_WHITE:,} more than images"
        )


def grid_shape(count: int) -> tuple[int, int]:
    """Columns and rows of the squarest grid for `count` images, at least as wide as high."""
    columns = max(1, int(np.ceil(np.sqrt(count))))
    return columns, int(np.ceil(count / columns))


def tile(images: np.ndarray, shape: tuple[int, int] | None = None) -> np.ndarray:
    """Arrange images row by row on a white sheet: uint8 `(rows * height, columns * width, 3)`.

    Args:
        images: uint8 `(n, height, width, 3)`.
        shape: Columns and rows; by default the squarest. Images beyond its places are left out.

    Raises:
        UserError: There is no image, they are not uint8 RGB, the shape is not two whole numbers
            from 1 on, or the sheet is almost empty.
    """
    images = _checked(images)
    columns, rows = shape or grid_shape(len(images))
    for name, value in (("columns", columns), ("rows", rows)):
        check_whole(name, value)
    check_grid((columns, rows), len(images))
    images = images[: columns * rows]
    _, height, width, _ = images.shape
    sheet = np.full((rows, columns, height, width, 3), 255, "uint8")
    sheet.reshape(-1, height, width, 3)[: len(images)] = images
    return sheet.transpose(0, 2, 1, 3, 4).reshape(rows * height, columns * width, 3)


def _checked(images: np.ndarray) -> np.ndarray:
    """The images as an array.

    Raises:
        UserError: There is no image, or they are not uint8 RGB.
    """
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[-1] != 3 or images.dtype != np.uint8 or not len(images):
        raise UserError(
            f"images of shape {images.shape}, {images.dtype}: "
            "expected uint8 (n, height, width, 3) with n at least 1"
        )
    return images


def save_grid(
    images: np.ndarray, path: str | os.PathLike, shape: tuple[int, int] | None = None
) -> Path:
    """Write images as one picture, whole or not at all; a PNG is marked as no face.

    Args:
        images: As for `tile`.
        path: Ends in .png, .jpg, .jpeg, .webp or .bmp.
        shape: As for `tile`.

    Raises:
        UserError: As for `tile`; or the ending is another one, or the file cannot be written.
    """
    check_path("path", path)
    if shape is not None and (isinstance(shape, str) or np.shape(shape) != (2,)):  # type: ignore[redundant-expr]
        raise UserError(f"shape {shape!r}: expected (columns, rows)")
    if Path(path).suffix.lower() not in PICTURES:
        raise UserError(f"{path}: a grid is written as {', '.join(PICTURES)}")
    sheet = Image.fromarray(tile(images, shape))
    mark = marked() if Path(path).suffix.lower() == ".png" else None
    with replacing(path) as temporary:
        sheet.save(temporary, pnginfo=mark)
    return Path(path)


def save_faces(
    images: np.ndarray, seeds: Sequence[int], family: str, folder: str | os.PathLike
) -> list[Path]:
    """Write each image of uint8 `(n, height, width, 3)` as `<family>_seed0007.png`."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{family}_seed{seed:04d}.png" for seed in seeds]
    for image, path in zip(images, paths, strict=True):
        with replacing(path) as temporary:
            Image.fromarray(image).save(temporary)
    return paths


def save_frames(
    frames: np.ndarray, path: str | os.PathLike, seconds: Sequence[float] | None = None
) -> Path:
    """Write frames as a film or strip, by the ending of the path, whole or not at all.

    `.gif` and `.mp4` play at 24 frames per second, and the gif repeats. `.png` is one row.

    Args:
        frames: uint8 `(n, height, width, 3)`.
        path: Ends in .gif, .mp4 or .png.
        seconds: Of each frame of a gif; by default 1/24. GIF counts in hundredths.

    Raises:
        UserError: Another ending, frames that are not uint8 RGB or of odd size for an mp4, or a
            file that cannot be written.
    """
    check_path("path", path)
    path, frames = Path(path), _checked(frames)
    if path.suffix == ".png":
        return save_grid(frames, path, (len(frames), 1))
    if path.suffix not in (".gif", ".mp4"):
        raise UserError(f"{path}: a film is written as .gif, .mp4 or .png")
    height, width = frames.shape[1:3]
    if path.suffix == ".mp4" and (height % 2 or width % 2):
        raise UserError(f"{path}: mp4 needs an even size, not {width}x{height}; use .gif")
    with replacing(path) as temporary:
        if path.suffix == ".gif":
            _write_gif(frames, temporary, seconds or [1 / FRAMES_PER_SECOND] * len(frames))
        else:
            _write_mp4(frames, temporary)
    return path


def _write_gif(frames: np.ndarray, path: Path, seconds: Sequence[float]) -> None:
    first, *rest = (Image.fromarray(frame) for frame in frames)
    # GIF counts in hundredths of a second; Pillow takes milliseconds.
    durations = [max(2, round(100 * s)) * 10 for s in seconds]
    first.save(path, save_all=True, append_images=rest, duration=durations, loop=0)


def _write_mp4(frames: np.ndarray, path: Path) -> None:
    import imageio_ffmpeg  # slow to import, and only an mp4 needs it

    height, width = frames.shape[1:3]
    writer = imageio_ffmpeg.write_frames(
        str(path.absolute()), (width, height), fps=FRAMES_PER_SECOND, macro_block_size=2, quality=8
    )
    writer.send(None)
    for frame in np.ascontiguousarray(frames):
        writer.send(frame)
    writer.close()
    if (
        b"moov" not in path.read_bytes()
    ):  # the index, written last: imageio_ffmpeg does not report errors
        raise OSError("ffmpeg did not finish it")
