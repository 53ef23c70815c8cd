"""Made-up photos: smooth colour fields that differ from each other."""

import io
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
