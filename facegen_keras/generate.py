"""Pictures out of a generator: faces of seeds, grids, interpolations, reconstructions, videos."""

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import keras
import numpy as np
from PIL import Image

from facegen_keras.atomic import replacing
from facegen_keras.errors import UserError
from facegen_keras.generator import Generator, latents, to_uint8
from facegen_keras.posterior import encode_photos

FRAMES_PER_SECOND = 24
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")  # endings
ENCODED_AT_A_TIME = 16  # photos
# Typing mistakes such as 0-99999999999 and 99999x99999 must not fill the memory.
MAX_FACES = 1_000_000
_MAX_WHITE = 1000  # places of a grid that have no face


def parse_seeds(text: str, option: str = "seeds") -> list[int]:
    """Seeds from `"0-35,100"`: whole numbers and inclusive ranges, in the order given.

    Args:
        text: The seeds.
        option: What they were given as, for messages.

    Raises:
        UserError: Anything else stands in the text.
    """
    seeds: list[int] = []
    for piece in str(text).split(","):
        match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", piece)
        if not match:
            raise UserError(f"{option} {text!r}: expected numbers and ranges such as 0-35,100")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first or last >= 2**32:
            raise UserError(
                f"{option} {text!r}: {piece.strip()} is not a range within 0 to {2**32 - 1}"
            )
        if len(seeds) + last - first >= MAX_FACES:
            raise UserError(f"{option} {text!r}: more than {MAX_FACES:,} seeds")
        seeds.extend(range(first, last + 1))
    return seeds


def parse_grid(text: str) -> tuple[int, int] | None:
    """Columns and rows from `"6x4"`, or None from `"none"`.

    Raises:
        UserError: Anything else.
    """
    if text.strip().lower() == "none":
        return None
    match = re.fullmatch(r"\s*(\d+)\s*[x×]\s*(\d+)\s*", text.lower())
    if not match or not int(match[1]) * int(match[2]):
        raise UserError(f"grid {text!r}: expected columns x rows such as 6x4, or none")
    columns, rows = int(match[1]), int(match[2])
    if columns * rows > MAX_FACES:
        raise UserError(f"grid {text!r}: expected at most {MAX_FACES:,} places")
    return columns, rows


def check_grid(shape: tuple[int, int], count: int) -> None:
    """Refuse columns and rows that are far too many for `count` images.

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
    """Columns and rows of the squarest grid for `count` images, never higher than wide."""
    columns = int(np.ceil(np.sqrt(count)))
    return columns, int(np.ceil(count / columns))


def tile(images: np.ndarray, shape: tuple[int, int] | None = None) -> np.ndarray:
    """Lay images out row by row on one white sheet: uint8 (rows * height, columns * width, 3).

    Args:
        images: uint8 (n, height, width, 3).
        shape: Columns and rows; by default the squarest. Images beyond its places are left out.

    Raises:
        UserError: There is no image, they are not uint8 RGB, or the sheet is nearly all white.
    """
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[-1] != 3 or images.dtype != np.uint8 or not len(images):
        raise UserError(
            f"images of shape {images.shape}, {images.dtype}: "
            "expected uint8 (n, height, width, 3) with n at least 1"
        )
    columns, rows = shape or grid_shape(len(images))
    check_grid((columns, rows), len(images))
    images = images[: columns * rows]
    _, height, width, _ = images.shape
    sheet = np.full((rows, columns, height, width, 3), 255, "uint8")
    sheet.reshape(-1, height, width, 3)[: len(images)] = images
    return sheet.transpose(0, 2, 1, 3, 4).reshape(rows * height, columns * width, 3)


def save_grid(
    images: np.ndarray, path: str | os.PathLike, shape: tuple[int, int] | None = None
) -> Path:
    """Write images as one picture, whole or not at all; the arguments are those of `tile`.

    Raises:
        UserError: As for `tile`; or the file cannot be written, or has no ending of a picture.
    """
    if Path(path).suffix.lower() not in PICTURES:
        raise UserError(f"{path}: a grid is written as {', '.join(PICTURES)}")
    sheet = Image.fromarray(tile(images, shape))
    with replacing(path) as temporary:
        sheet.save(temporary)
    return Path(path)


def save_faces(
    images: np.ndarray, seeds: Sequence[int], family: str, folder: str | os.PathLike
) -> list[Path]:
    """Write each image of (n, height, width, 3) uint8 as `<family>_seed0007.png`."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{family}_seed{seed:04d}.png" for seed in seeds]
    for image, path in zip(images, paths, strict=True):
        Image.fromarray(image).save(path)
    return paths


def interpolate(start: np.ndarray, end: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Spherical interpolation between two latents: (len(t), latent_dim) float32.

    Gaussian latents lie near a sphere; the straight line between two leaves it, where the
    generator has never been (White 2016, arXiv:1609.04468, section 2.1).

    Args:
        start: Latent (latent_dim,), reached at t = 0.
        end: Latent (latent_dim,), reached at t = 1.
        t: Positions from 0 to 1.
    """
    start, end = np.asarray(start, "float64"), np.asarray(end, "float64")
    t = np.asarray(t, "float64")[:, None]
    norms = np.linalg.norm(start) * np.linalg.norm(end)
    angle = np.arccos(np.clip(start @ end / norms, -1, 1)) if norms else 0.0
    if np.sin(angle) < 1e-6:  # parallel, or at the origin: the sphere gives no direction
        return ((1 - t) * start + t * end).astype("float32")
    weights = np.sin((1 - t) * angle), np.sin(t * angle)
    return ((weights[0] * start + weights[1] * end) / np.sin(angle)).astype("float32")


def walk(z: np.ndarray, frames: int, loop: bool) -> np.ndarray:
    """A path through latents at even pace: float32 (frames, latent_dim).

    Args:
        z: Latents to visit, (n, latent_dim).
        frames: Number of steps in all, at least n.
        loop: Go from the last one back to the first, so that a repeated film has no jump; the
            first latent is then not repeated at the end.

    Raises:
        UserError: Fewer than two latents, or fewer frames than latents.
    """
    if len(z) < 2:
        raise UserError(f"an interpolation through {len(z)} latent: expected two or more")
    if frames < len(z):
        raise UserError(f"{frames} frames through {len(z)} latents: expected {len(z)} or more")
    stops = np.concatenate([z, z[:1]]) if loop else np.asarray(z)
    legs = len(stops) - 1
    position = np.linspace(0, legs, frames, endpoint=not loop)
    leg = np.minimum(position.astype(int), legs - 1)
    rows = np.empty((frames, z.shape[1]), "float32")
    for index in range(legs):
        here = leg == index
        rows[here] = interpolate(stops[index], stops[index + 1], position[here] - index)
    return rows


def interpolate_seeds(
    generator: Generator, seeds: Iterable[int], frames: int = 48, loop: bool = True, **options
) -> np.ndarray:
    """The frames of a walk through the latents of seeds: uint8 (frames, height, width, 3)."""
    z = walk(latents(seeds, generator.latent_dim), frames, loop)
    return to_uint8(generator(z, **options))


def encode(encoder: keras.Model, faces: np.ndarray) -> np.ndarray:
    """The mean latents of photos: float32 (n, latent_dim).

    Args:
        encoder: As from `load_encoder`.
        faces: uint8 (n, height, width, 3).

    Raises:
        UserError: The photos have another size than the encoder takes.
    """
    statistics = encode_photos(encoder, faces, ENCODED_AT_A_TIME)
    return statistics[:, : statistics.shape[1] // 2]


def reconstruct(generator: Generator, encoder: keras.Model, faces: np.ndarray) -> np.ndarray:
    """What the model makes of photos, through the mean of their encoding.

    Args:
        generator: The decoder.
        encoder: The encoder from the same export.
        faces: uint8 (n, height, width, 3).

    Returns:
        uint8 (n, height, width, 3).
    """
    return to_uint8(generator(encode(encoder, faces)))


def beside(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Pair images side by side: uint8 (n, height, 2 * width, 3)."""
    return np.concatenate([left, right], axis=2)


def save_frames(frames: np.ndarray, path: str | os.PathLike) -> Path:
    """Write frames (n, height, width, 3) uint8 as the film or strip that the ending names.

    `.gif` and `.mp4` play at 24 frames per second (the gif repeats for ever); `.png` is one row.

    The file appears whole or not at all.

    Raises:
        UserError: Another ending, frames of an odd size for an mp4, or a file that cannot be
            written.
    """
    path = Path(path)
    if path.suffix == ".png":
        return save_grid(frames, path, (len(frames), 1))
    if path.suffix not in (".gif", ".mp4"):
        raise UserError(f"{path}: a film is written as .gif, .mp4 or .png")
    height, width = frames.shape[1:3]
    if path.suffix == ".mp4" and (height % 2 or width % 2):
        raise UserError(f"{path}: mp4 needs an even size, not {width}x{height}; use .gif")
    with replacing(path) as temporary:
        write = _write_gif if path.suffix == ".gif" else _write_mp4
        write(frames, temporary)
    return path


def _write_gif(frames: np.ndarray, path: Path) -> None:
    first, *rest = (Image.fromarray(frame) for frame in frames)
    # GIF counts in hundredths of a second; Pillow takes milliseconds.
    duration = round(100 / FRAMES_PER_SECOND) * 10
    first.save(path, save_all=True, append_images=rest, duration=duration, loop=0)


def _write_mp4(frames: np.ndarray, path: Path) -> None:
    import imageio_ffmpeg  # finding its binary takes time that only an mp4 should cost

    height, width = frames.shape[1:3]
    writer = imageio_ffmpeg.write_frames(
        str(path), (width, height), fps=FRAMES_PER_SECOND, macro_block_size=2, quality=8
    )
    writer.send(None)
    for frame in np.ascontiguousarray(frames):
        writer.send(frame)
    writer.close()
    if b"moov" not in path.read_bytes():  # the index, written last; how ffmpeg ended is not told
        raise OSError("ffmpeg did not finish it")
