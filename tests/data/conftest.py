"""Made-up photos: smooth colour fields that differ from each other."""

import io
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def make_photo(number: int, width: int = 40, height: int = 48) -> Image.Image:
    """Draw an RGB picture that only its number decides."""
    colours = np.random.default_rng(number).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(colours).resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture
def photo() -> Callable[..., Image.Image]:
    return make_photo


@pytest.fixture
def encode() -> Callable[..., bytes]:
    """Encode a picture: `encode(image, "JPEG", quality=90)`."""

    def run(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
        buffer = io.BytesIO()
        image.save(buffer, kind, **options)
        return buffer.getvalue()

    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve photos, half of them in nested folders."""
    root = tmp_path / "photos"
    (root / "more" / "deep").mkdir(parents=True)
    for number in range(12):
        below = ("", "", "more", "more/deep")[number % 4]
        make_photo(number).save(root / below / f"{number:02d}.png")
    return root


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setenv("FACEGEN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def mixed(folder, photo, encode):
    """The twelve photos, and two or more of everything that can be wrong or odd."""
    (folder / "cut.jpg").write_bytes(encode(photo(20), "JPEG")[:-200])
    (folder / "empty.png").write_bytes(b"")
    (folder / "page.jpg").write_text("<html>404</html>")
    (folder / "notes.txt").write_text("not a face")
    (folder / "README.md").write_text("about")
    (folder / "broken.png").write_bytes(encode(photo(21))[:20] + b"\0" * 200 + b"IEND\xaeB`\x82")
    photo(22, 15, 40).save(folder / "small.png")
    photo(23).convert("L").save(folder / "grey.png")
    photo(24).convert("CMYK").save(folder / "more" / "cmyk.jpg")
    shutil.copy(folder / "00.png", folder / "more" / "again.png")
    shutil.copy(folder / "00.png", folder / "third.png")
    return folder
