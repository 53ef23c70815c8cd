"""Photos of strangers: limited, decoded as untrusted, deleted."""

import io

import numpy as np
import pytest
from PIL import Image

from facegen_keras.demo import uploads
from facegen_keras.demo.uploads import MOST_PHOTOS, read_uploads
from facegen_keras.errors import UserError


def encoded(image: Image.Image, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def test_photos_are_cropped_and_deleted(photos, upload):
    copies = [upload(path) for path in photos[:2]]
    images = read_uploads(copies, 16)
    np.testing.assert_array_equal(images[1], np.asarray(Image.open(photos[1])))
    assert not any(path.exists() for path in copies)
    with pytest.raises(UserError, match=r"photo00\.png: deleted since it was read"):
        read_uploads(copies, 16)


def test_what_is_no_photo_is_refused_and_deleted(tmp_path, monkeypatch):
    monkeypatch.setattr(uploads, "MOST_BYTES", 5_000_000)
    small = Image.new("RGB", (8, 8))
    for content, message in (
        (b"<script>alert(1)</script>", "not a photo; expected JPEG, PNG, WEBP, BMP"),
        (encoded(small, "TIFF"), "not a photo"),
        (encoded(Image.new("L", (8000, 7000))), "8000x7000; expected at most 50 megapixels"),
        (encoded(Image.effect_noise((64, 64), 50))[:2000], "truncated|unreadable"),
        (encoded(small) + b"0" * 5_000_000, "expected at most 5 MB"),
    ):
        path = tmp_path / "upload.png"
        path.write_bytes(content)
        with pytest.raises(UserError, match=message) as caught:
            read_uploads([path], 8)
        assert str(caught.value).startswith("upload.png: ")
        assert not path.exists()
    many = [tmp_path / str(number) for number in range(MOST_PHOTOS + 1)]
    for path in many:
        path.write_bytes(b"")
    with pytest.raises(UserError, match="101 photos: expected 1 to 100"):
        read_uploads(many, 8)
    assert list(tmp_path.iterdir()) == []
