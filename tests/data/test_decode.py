import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from facegen_keras.data import decode as module
from facegen_keras.data import pool
from facegen_keras.data.decode import Settings, decode, plain_jpeg
from facegen_keras.data.pool import BOOTSTRAP

WHOLE = Settings(8, "none")


def pixels(data: bytes, settings: Settings = WHOLE) -> np.ndarray:
    record, raw = decode(data, settings)
    assert record.problem == "", record
    return np.frombuffer(raw, np.uint8).reshape(settings.resolution, settings.resolution, 3)


def flat(mode: str, colour, side: int = 8) -> Image.Image:
    return Image.new(mode, (side, side), colour)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (flat("RGB", (10, 20, 30)), (10, 20, 30)),
        (flat("L", 77), (77, 77, 77)),
        (flat("1", 1), (255, 255, 255)),
        (flat("LA", (50, 255)), (50, 50, 50)),
        (flat("LA", (50, 0)), (255, 255, 255)),  # transparent: the white behind it
        (flat("RGBA", (200, 0, 0, 255)), (200, 0, 0)),
        (flat("RGBA", (0, 0, 0, 51)), (204, 204, 204)),  # a fifth of black on white
        (flat("I;16", 128 * 257), (128, 128, 128)),
        (flat("I;16", 65535), (255, 255, 255)),
        (flat("I;16", 300), (1, 1, 1)),  # and not the 255 that clipping would give
    ],
)
def test_every_mode_becomes_rgb(image, expected, encode):
    assert (pixels(encode(image)) == expected).all()


def test_palette_with_and_without_transparency(encode):
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 0, 0, 10, 200, 30, 9, 9, 9])
    assert (pixels(encode(image)) == (10, 200, 30)).all()
    assert (pixels(encode(image, transparency=1)) == 255).all()
    assert (pixels(encode(image, transparency=bytes([255, 51]))) == (206, 244, 210)).all()
    record, _ = decode(encode(image, transparency=1), WHOLE)
    assert (record.mode, record.format) == ("P+alpha", "PNG")


def test_rgb_and_grey_with_a_transparent_colour(encode):
    assert (pixels(encode(flat("RGB", (1, 2, 3)), transparency=(1, 2, 3))) == 255).all()
    assert (pixels(encode(flat("L", 9), transparency=9)) == 255).all()


def test_cmyk_jpeg(encode):
    cyan = pixels(encode(flat("CMYK", (255, 0, 0, 0)), "JPEG", quality=100))
    assert np.abs(cyan.astype(int) - (0, 255, 255)).max() <= 3


def test_sixteen_bit_colour_png():
    row = b"\0" + struct.pack(">HHH", 65535, 128 * 257, 0) * 8

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", 8, 8, 16, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(row * 8)) + chunk(b"IEND", b"")
    assert (pixels(b"\x89PNG\r\n\x1a\n" + body) == (255, 128, 0)).all()


@pytest.mark.parametrize("kind", ["PNG", "BMP", "WEBP"])
def test_lossless_formats_are_exact(kind, photo, encode):
    image = photo(3, 16, 16)
    options = {"lossless": True} if kind == "WEBP" else {}
    assert (pixels(encode(image, kind, **options), Settings(16)) == np.asarray(image)).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(orientation, photo, encode):
    upright = photo(5, 16, 32)
    undo = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    stored = upright if undo is None else upright.transpose(undo)
    exif = Image.Exif()
    exif[0x0112] = orientation
    settings = Settings(16, (0, 8, 16, 24))
    expected = np.asarray(upright)[8:24]
    record, _ = decode(encode(stored, exif=exif), settings)
    assert (record.width, record.height) == (16, 32)
    assert (pixels(encode(stored, exif=exif), settings) == expected).all()
    jpeg = pixels(encode(stored, "JPEG", exif=exif, quality=100, subsampling=0), settings)
    assert np.abs(jpeg.astype(int) - expected).max() <= 6


def adobe(data: bytes, transform: int) -> bytes:
    """Say in an Adobe segment how the three components are to be read: 0 RGB, 1 YCbCr."""
    segment = b"\xff\xee" + struct.pack(">H5sHHHB", 14, b"Adobe", 100, 0, 0, transform)
    return data[:2] + segment + data[20:]  # instead of the JFIF segment


JPEGS = {  # what is asked of the encoder, what is done to its bytes, whether the file is plain
    "baseline": ({"quality": 90}, None, True),
    "progressive": ({"progressive": True}, None, True),
    "full colour": ({"subsampling": 0, "quality": 100}, None, True),
    "own tables": ({"optimize": True}, None, True),
    "restart markers": ({"restart_marker_blocks": 2}, None, True),
    "no JFIF": ({}, lambda data: data[:2] + data[20:], True),
    "rest behind the end": ({}, lambda data: data + b"anything", True),
    "EXIF": ({"exif": Image.Exif()}, None, False),
    "profile": ({"icc_profile": b"profile"}, None, False),
    "comment": ({"comment": "a face"}, None, False),
    "Adobe RGB": ({}, lambda data: adobe(data, 0), False),
    "Adobe YCbCr": ({}, lambda data: adobe(data, 1), False),
}
JPEGS["EXIF"][0]["exif"][0x0112] = 1


@pytest.mark.parametrize("name", JPEGS)
def test_the_shorter_way_to_a_plain_jpeg_leads_to_the_same_pixels(name, photo, encode):
    options, change, plain = JPEGS[name]
    data = encode(photo(3, 45, 37), "JPEG", **options)
    data = change(data) if change else data
    exact = Image.open(io.BytesIO(data)).crop((4, 0, 41, 37))
    exact = exact.resize((16, 16), Image.Resampling.LANCZOS)
    assert (pixels(data, Settings(16)) == np.asarray(exact)).all()
    record, _ = decode(data, Settings(16))
    assert record[:6] == ("", "", 45, 37, "RGB", "JPEG")
    assert (plain_jpeg(data, Settings(16)) is not None) == plain


def test_no_shorter_way_for_grey_for_what_is_reduced_and_for_other_formats(photo, encode):
    assert plain_jpeg(encode(photo(0).convert("L"), "JPEG"), WHOLE) is None
    assert plain_jpeg(encode(photo(0).convert("CMYK"), "JPEG"), WHOLE) is None
    assert plain_jpeg(encode(photo(0)), WHOLE) is None
    data = encode(photo(0, 64, 64), "JPEG")
    assert plain_jpeg(data, Settings(9)) is not None
    assert plain_jpeg(data, Settings(8)) is None  # libjpeg decodes it at half its size


def test_a_plain_jpeg_is_cut_off_anywhere(photo, encode, monkeypatch):
    data = encode(photo(0), "JPEG")
    ours = [decode(data[:end], WHOLE)[0] for end in range(len(data) - 2)]
    assert all(record.problem in ("truncated", "unreadable", "not an image") for record in ours)
    monkeypatch.setattr("facegen_keras.data.decode.plain_jpeg", lambda data, settings: None)
    assert ours == [decode(data[:end], WHOLE)[0] for end in range(len(data) - 2)]


def test_crops(photo, encode):
    image = photo(1, 32, 48)
    array = np.asarray(image)
    data = encode(image)
    assert (pixels(data, Settings(32)) == array[8:40]).all()
    assert (pixels(data, Settings(8, (3, 5, 11, 13))) == array[5:13, 3:11]).all()
    squeezed = np.asarray(image.resize((16, 16), Image.Resampling.LANCZOS))
    assert (pixels(data, Settings(16, "none")) == squeezed).all()
    cropped = image.crop((0, 8, 32, 40)).resize((8, 8), Image.Resampling.LANCZOS)
    assert (pixels(data, Settings(8)) == np.asarray(cropped)).all()


def test_large_jpeg_is_decoded_reduced_without_a_visible_difference(encode):
    rng = np.random.default_rng(0)
    scene = np.zeros((1100, 900, 3))
    for side in (4, 16, 64, 256):  # structure at every scale, as in a photo
        noise = Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8))
        scene += np.asarray(noise.resize((900, 1100), Image.Resampling.BICUBIC), float) / 4
    data = encode(Image.fromarray(scene.astype(np.uint8)), "JPEG", quality=90)
    for crop in ("center", "none", (100, 101, 880, 1000)):
        ours = pixels(data, Settings(32, crop)).astype(float)
        whole = Image.open(io.BytesIO(data))
        box = {"center": (0, 100, 900, 1000), "none": (0, 0, 900, 1100)}.get(crop, crop)
        exact = whole.crop(box).resize((32, 32), Image.Resampling.LANCZOS)
        difference = np.abs(ours - np.asarray(exact, float))
        assert 0 < difference.mean() < 0.5, crop  # 0 would mean that nothing was reduced
        assert difference.max() <= 4, crop


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda data: b"", "truncated"),
        (lambda data: data[: len(data) // 2], "truncated"),
        (lambda data: data[:-20], "truncated"),
        (lambda data: data[:12], "truncated unreadable"),
        (lambda data: b"<html>404</html>" * 20, "not an image"),
        (lambda data: b"GIF89a" + data, "not an image"),
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_damaged_files_are_named(damage, problem, kind, photo, encode):
    record, raw = decode(damage(encode(photo(0), kind)), WHOLE)
    assert record.problem
    assert record.problem in problem
    assert raw is None
    assert record.detail
    assert "\n" not in record.detail


def test_flipped_bytes_in_a_png_are_noticed(photo, encode):
    data = bytearray(encode(photo(0)))
    data[len(data) // 2] ^= 255
    assert decode(bytes(data), WHOLE)[0].problem in ("unreadable", "truncated")


def test_too_small_and_outside_the_crop(photo, encode):
    data = encode(photo(0, 20, 30))
    record, _ = decode(data, Settings(64, min_size=21))
    assert record.problem == "too small"
    assert "20x30" in record.detail
    assert "21" in record.detail
    assert decode(data, Settings(64, min_size=20))[0].problem == ""
    record, _ = decode(data, Settings(8, (0, 0, 21, 21)))
    assert record.problem == "outside the crop"
    assert "0,0,21,21" in record.detail


def test_decompression_bomb_is_refused_unopened():
    image = Image.new("1", (20000, 20000))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    record, _ = decode(buffer.getvalue(), WHOLE)
    assert record.problem == "unreadable"
    assert record.format in ("", "PNG")


def test_large_image_below_the_bound_warns_nobody():
    image = Image.new("L", (10000, 9500), 40)  # Pillow warns from 89 million pixels on
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    assert (pixels(buffer.getvalue()) == 40).all()


def peak_of_decoding(path, resolution=64) -> int:
    """Bytes that decoding a file takes in a process of its own, at its peak."""
    code = f"""
import resource
from facegen_keras.data.decode import Settings, decode
data = open({str(path)!r}, "rb").read()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
record, pixels = decode(data, Settings({resolution}))
assert pixels, record
print(1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before))
"""
    bare = BOOTSTRAP.partition("import signal")[0]
    package = Path(pool.__file__).parent
    command = [sys.executable, "-c", bare + code, str(package.parent), str(package)]
    return int(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


@pytest.mark.parametrize(
    ("kind", "mode", "bytes_per_pixel"),
    [("PNG", "RGBA", 8), ("PNG", "LA", 8), ("WEBP", "RGBA", 20), ("JPEG", "RGB", 10)],
)
def test_the_memory_of_a_large_image_is_what_its_header_was_judged_by(
    kind, mode, bytes_per_pixel, tmp_path
):
    options = {"progressive": True, "subsampling": 0} if kind == "JPEG" else {"method": 0}
    Image.new(mode, (3000, 3000)).save(tmp_path / "x", kind, **options)
    assert peak_of_decoding(tmp_path / "x") < 3000**2 * (bytes_per_pixel + 1)


def test_an_image_that_would_take_too_much_memory_is_refused_by_its_header(encode):
    with Image.new("RGBA", (10_100, 10_100)) as large:
        data = encode(large, compress_level=1)
    record, raw = decode(data, WHOLE)
    assert (record.problem, raw) == ("unreadable", None)
    assert record.detail == "10100x10100 pixels would take more than 800 MB of memory"


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "I;16", "CMYK"])
def test_bands_give_the_pixels_of_the_whole(mode, monkeypatch):
    shape = (61, 47) if mode in ("P", "I;16") else (61, 47, {"LA": 2}.get(mode, 4))
    values = np.random.default_rng(0).integers(0, 256, shape)
    values = values.astype("uint16") * 257 if mode == "I;16" else values.astype("uint8")
    image = Image.fromarray(values) if mode == "I;16" else Image.fromarray(values, mode)
    if mode == "P":
        image.putpalette(range(256), "RGB")
        image.info["transparency"] = bytes(range(256))
    whole = np.asarray(module._rgb_part(image, (3, 5, 40, 58)))
    monkeypatch.setattr(module, "BAND", 7)
    assert (np.asarray(module._rgb_part(image, (3, 5, 40, 58))) == whole).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(513, 701), (516, 515)])  # the second is reduced to a square
def test_a_reduced_jpeg_of_any_size_keeps_its_place(size, orientation, encode):
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    stored = Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(stored, "JPEG", quality=95, exif=exif)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    exact = np.asarray(upright.resize((32, 32), Image.Resampling.LANCZOS), float)
    settings = Settings(32, "none")
    record, _ = decode(data, settings)
    assert (record.width, record.height) == upright.size
    assert record.rounded
    assert np.abs(pixels(data, settings) - exact).mean() < 0.5


def test_only_a_size_that_libjpeg_rounds_is_marked(encode):
    for side, rounded in ((512, False), (513, True), (100, False)):
        record, _ = decode(encode(flat("RGB", 90, side), "JPEG"), Settings(32, "none"))
        assert record.rounded == rounded


@pytest.mark.parametrize("far", [300, 100_000])
def test_a_crop_beyond_a_jpeg_is_outside_however_far(far):
    buffer = io.BytesIO()
    flat("RGB", (1, 2, 3), side=64).save(buffer, "JPEG")
    record, raw = decode(buffer.getvalue(), Settings(32, (0, 0, far, far)))
    assert (record.problem, raw) == ("outside the crop", None)
