"""One encoded image in, one square RGB image out. Needs Pillow and no other package.

Worker processes import this file without the package (see `pool.py`): importing Keras would cost
each of them seconds, numpy a tenth of one.
"""

import io
import math
import struct
import warnings
import zlib
from typing import NamedTuple, TypedDict

from PIL import Image, ImageOps, UnidentifiedImageError

from facegen_keras.files.own_pictures import KEYWORD, NOT_A_FACE

FORMATS = ("JPEG", "PNG", "WEBP", "BMP")
# Decoders of other formats stay closed: they are rarely faces and often the target of exploits.

MAX_PIXELS = 178_956_970
# Pillow's own bound against decompression bombs (twice `Image.MAX_IMAGE_PIXELS`), fixed here so
# that a program which lifts Pillow's bound does not change what is in a cache.

MAX_MEMORY = 800 * 10**6
# Bytes that one image may take while it is decoded, as `_memory` counts them from its header: some
# 100 megapixels, and 40 of a WebP.

PIXEL_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2}  # in Pillow; others 4
RGB_BYTES = 4  # of the RGB image that is made of it
WEBP_BYTES = 12  # of the decoder beside its result, measured
PROGRESSIVE_BYTES = 6  # coefficients of a progressive JPEG: two bytes for each of three channels

BAND = 256  # rows of an image that are made RGB at a time: the copies on the way stay small

DRAFT_MARGIN = 4
# libjpeg can decode at 1/2, 1/4 or 1/8 for a fraction of the time. As long as the reduced image
# is still at least 4 times the target, Lanczos decides the result: `tests/data/test_decode.py`
# holds the difference to the full decode below half a grey level on average.

ORIENTATION = 0x0112  # tag of EXIF
SWAPPED = (5, 6, 7, 8)  # orientations in which width and height change places
FAR_ENDS = {2: (1, 0), 3: (1, 1), 4: (0, 1), 6: (1, 0), 7: (1, 1), 8: (0, 1)}  # by orientation

JPEG_START = b"\xff\xd8"
MARKER = struct.Struct(">BBH")  # 0xFF, kind, length (ITU-T T.81, annex B)
FRAME = struct.Struct(">BHHB")  # bits, height, width, components
JPEG_TABLES = (0xC4, 0xDB, 0xDD)  # Huffman, quantization, restart interval
JPEG_FRAMES = (0xC0, 0xC2)  # baseline and progressive
JPEG_JFIF, JPEG_SCAN = 0xE0, 0xDA

PNG_END = b"IEND\xaeB`\x82"  # the last chunk, which is always the same


class Settings(NamedTuple):
    """How images are brought to one size.

    Attributes:
        resolution: Side of the result in pixels.
        crop: `"center"`, `"none"`, or a box `(left, upper, right, lower)` in pixels of the upright
            original.
        min_size: Shorter side, after cropping, below which an image is refused, in pixels.
    """

    resolution: int
    crop: str | tuple[int, int, int, int] = "center"
    min_size: int = 1


class Record(NamedTuple):
    """What became of one file.

    Attributes:
        problem: `""` for a usable image, else `"unreadable"`, `"truncated"`, `"not an image"`,
            `"not a face"`, `"too small"` or `"outside the crop"`.
        detail: One line about the problem.
        width, height: Size of the upright original in pixels, 0 if unknown.
        mode: Pillow's mode, such as `"RGB"`, with `"+alpha"` for a palette with transparency.
        format: Pillow's format, such as `"JPEG"`.
        crc: CRC-32 of the encoded bytes.
        size: Number of encoded bytes.
        passing: The problem may be gone at the next try: the file, not its content, failed.
        rounded: A JPEG that was decoded at a reduced size which libjpeg had to round up.
    """

    problem: str = ""
    detail: str = ""
    width: int = 0
    height: int = 0
    mode: str = ""
    format: str = ""
    crc: int = 0
    size: int = 0
    passing: bool = False
    rounded: bool = False


class _Seen(TypedDict, total=False):
    """The fields of a `Record` that the header of an image tells, before anything can fail."""

    width: int
    height: int
    mode: str
    format: str
    rounded: bool


class Unusable(Exception):
    """An image that training skips: a `Record.problem` and its detail."""


class Unreachable(Unusable):
    """A file that cannot be read now: no permission, a network drive that is away."""


def decode(data: bytes, settings: Settings) -> tuple[Record, bytes | None]:
    """Decode, upright, crop, convert to RGB and resize one image.

    Returns:
        Its record and the pixels (`resolution * resolution * 3` bytes, row by row), or `None`
        instead of pixels if the record names a problem.
    """
    crc, size = zlib.crc32(data), len(data)
    seen: _Seen = {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # EXIF oddities and large images; judged by us below
            pixels = _decode(data, settings, seen)
    except Exception as error:  # a broken file can make Pillow raise nearly anything
        problem, detail = _explain(data, error)
        passing = isinstance(error, MemoryError)
        return Record(problem, detail, crc=crc, size=size, passing=passing, **seen), None
    return Record(crc=crc, size=size, **seen), pixels


def _decode(data: bytes, settings: Settings, seen: _Seen) -> bytes:
    image, scale, far = plain_jpeg(data, settings), 1.0, (0, 0)
    if image is None:
        image, scale, far = _open(data, settings, seen)
        width, height = seen["width"], seen["height"]
    else:
        seen["width"], seen["height"] = width, height = image.size
        seen["format"], seen["mode"] = "JPEG", "RGB"
    box = crop_box(width, height, settings)
    side = settings.resolution
    if scale == 1.0:
        image = _rgb_part(image, box)
        if image.size != (side, side):
            image = image.resize((side, side), Image.Resampling.LANCZOS)
    else:
        # libjpeg rounds the reduced size up; the part that is too much is at the stored right and
        # bottom, which may be the upright left and top.
        before = (image.width - width * scale) * far[0]
        above = (image.height - height * scale) * far[1]
        left, upper = box[0] * scale + before, box[1] * scale + above
        right, lower = box[2] * scale + before, box[3] * scale + above
        # Cropping first keeps Lanczos from looking beyond the crop, as in the other branch.
        x, y = math.floor(left), math.floor(upper)
        image = _rgb_part(image, (x, y, math.ceil(right), math.ceil(lower)))
        part = (left - x, upper - y, right - x, lower - y)
        image = image.resize((side, side), Image.Resampling.LANCZOS, box=part)
    return image.tobytes()


def plain_jpeg(data: bytes, settings: Settings) -> Image.Image | None:
    """Decode an RGB JPEG that holds its image and nothing else, or return `None`.

    Most faces of a data set are such files. `Image.open` takes some 30 % of the time of a 64x64
    one to look for what they lack: a thumbnail, a profile, EXIF, another format.
    """
    size = _plain_jpeg_size(data)
    if not size or _draft_scale(*size, settings) < 1:
        return None
    if math.prod(size) * (2 * RGB_BYTES + PROGRESSIVE_BYTES) > MAX_MEMORY:
        return None
    try:
        return Image.frombytes("RGB", size, data, "jpeg", "RGB", "")
    except ValueError:  # damaged: `Image.open` says how
        return None


def _plain_jpeg_size(data: bytes) -> tuple[int, int] | None:
    if data[:2] != JPEG_START:
        return None
    size, place = None, 2
    while place + 9 < len(data):
        prefix, marker, length = MARKER.unpack_from(data, place)
        if prefix != 0xFF:
            return None
        if marker == JPEG_SCAN:
            return size
        if marker in JPEG_FRAMES:
            bits, height, width, components = FRAME.unpack_from(data, place + MARKER.size)
            size = (width, height) if bits == 8 and components == 3 else None
            if not size or 0 in size:
                return None
        elif marker == JPEG_JFIF:
            if data[place + 4 : place + 9] != b"JFIF\0":
                return None
        elif marker not in JPEG_TABLES:
            return None
        place += 2 + length
    return None


def _open(
    data: bytes, settings: Settings, seen: _Seen
) -> tuple[Image.Image, float, tuple[int, int]]:
    """Open an upright image of any kind and return it with the scale it is decoded at, and whether
    its left and its top are the right and the bottom of the stored one.
    """
    image: Image.Image = Image.open(io.BytesIO(data), formats=FORMATS)
    if image.format == "PNG" and PNG_END not in data:  # Pillow does not mind
        raise Unusable("truncated", "the end of the file is missing")
    if KEYWORD in image.info:
        raise Unusable(*NOT_A_FACE)
    seen["width"], seen["height"] = width, height = image.size
    seen["format"] = image.format or ""
    seen["mode"] = image.mode
    if "transparency" in image.info:
        seen["mode"] += "+alpha"
    if width * height > MAX_PIXELS:
        raise Unusable("unreadable", f"{width}x{height} pixels is more than {MAX_PIXELS}")
    scale, far = 1.0, (0, 0)
    if image.format == "JPEG":
        scale = _draft(image, settings)
        seen["rounded"] = image.size != (width * scale, height * scale)
    if _memory(image, width * height) > MAX_MEMORY:
        limit = f"{MAX_MEMORY // 10**6} MB of memory"
        raise Unusable("unreadable", f"{width}x{height} pixels would take more than {limit}")
    if "exif" in image.info or "xmp" in image.info or "Raw profile type exif" in image.info:
        orientation = image.getexif().get(ORIENTATION, 1)
        image = ImageOps.exif_transpose(image)
        far = FAR_ENDS.get(orientation, far)
        if orientation in SWAPPED:  # also where the reduced image is a square
            seen["width"], seen["height"] = height, width
    return image, scale, far


def _draft(image: Image.Image, settings: Settings) -> float:
    """Ask libjpeg for a smaller image where that cannot be seen, and return its scale."""
    width, height = image.size
    scale = _draft_scale(width, height, settings)
    if scale == 1.0:
        return 1.0
    image.draft(image.mode, (max(1, round(width * scale)), max(1, round(height * scale))))
    return 1 / round(width / image.width)


def _draft_scale(width: int, height: int, settings: Settings) -> float:
    if isinstance(settings.crop, tuple):
        left, upper, right, lower = settings.crop
        used = min(right - left, lower - upper)
    else:
        used = min(width, height)
    scale = settings.resolution * DRAFT_MARGIN / max(used, 1)
    return 1.0 if scale > 0.5 else scale


def crop_box(width: int, height: int, settings: Settings) -> tuple[int, int, int, int]:
    """Return the part of an upright image that is used: left, upper, right, lower in pixels.

    Raises:
        Unusable: The crop does not fit into the image, or leaves too little.
    """
    if isinstance(settings.crop, str):
        box = (0, 0, width, height)
        if settings.crop == "center":
            side = min(width, height)
            left, upper = (width - side) // 2, (height - side) // 2
            box = (left, upper, left + side, upper + side)
    else:
        box = settings.crop
        if box[2] > width or box[3] > height:
            edges = ",".join(map(str, box))
            raise Unusable("outside the crop", f"{width}x{height} pixels, the crop is {edges}")
    if min(box[2] - box[0], box[3] - box[1]) < settings.min_size:
        raise Unusable(
            "too small", f"{width}x{height} pixels, at least {settings.min_size} are needed"
        )
    return box


def _memory(image: Image.Image, pixels: int) -> int:
    """Bytes that decoding an image takes, from its header; `pixels` before a JPEG is reduced."""
    here = image.width * image.height
    needed = here * (PIXEL_BYTES.get(image.mode, 4) + RGB_BYTES)
    if image.format == "WEBP":
        needed += here * WEBP_BYTES
    if image.format == "JPEG" and "progressive" in image.info:
        needed += pixels * PROGRESSIVE_BYTES
    return needed


def _rgb_part(image: Image.Image, box: tuple[int, int, int, int]) -> Image.Image:
    """A part of an image as RGB: left, upper, right, lower in pixels."""
    left, upper, right, lower = box
    whole = box == (0, 0, *image.size)
    if lower - upper <= BAND or _is_plain(image):
        return to_rgb(image if whole else image.crop(box))
    part = Image.new("RGB", (right - left, lower - upper))
    for top in range(upper, lower, BAND):
        band = image.crop((left, top, right, min(top + BAND, lower)))
        part.paste(to_rgb(band), (0, top - upper))
    return part


def _is_plain(image: Image.Image) -> bool:
    return image.mode == "RGB" and "transparency" not in image.info


def to_rgb(image: Image.Image) -> Image.Image:
    """Return an image of any mode as RGB: 16 bits scaled to 8, transparency laid on white."""
    if _is_plain(image):
        return image
    if image.mode.startswith("I"):
        # 16-bit grey: Pillow's own conversion clips everything above 255 to white.
        image = image.convert("I").point(lambda value: value * (1 / 257) + 0.5).convert("L")
        return image.convert("RGB")
    if "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _explain(data: bytes, error: Exception) -> tuple[str, str]:
    if isinstance(error, Unusable):
        return error.args[0], error.args[1]
    detail = " ".join(str(error).split())[:200] or type(error).__name__
    if not data:
        return "truncated", "the file is empty"
    if isinstance(error, UnidentifiedImageError):
        if data.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM")) or (
            data[:4] == b"RIFF" and data[8:12] == b"WEBP"
        ):
            return "unreadable", "the image's header is damaged"
        return "not an image", "the content is not PNG, JPEG, WebP or BMP"
    if "truncated" in detail.lower() or isinstance(error, (EOFError, struct.error)):
        return "truncated", detail
    return "unreadable", detail
