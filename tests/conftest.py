"""What every test shares: a quiet TensorFlow, made-up faces, the official reference, the smallest
models that can be exported, and a way to run code on another Keras backend."""

import io
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "Agg")

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "tests" / "fixtures" / "stylegan2_reference.npz"
BACKENDS = ("tensorflow", "jax", "torch")


def made_up_faces(count: int, resolution: int = 32, seed: int = 0) -> np.ndarray:
    """Colour gradients that differ from each other, uint8 `(count, resolution, resolution, 3)`."""
    corners = np.random.RandomState(seed).randint(0, 256, (count, 2, 2, 3), dtype=np.uint8)
    size = (resolution, resolution)
    return np.stack(
        [np.asarray(Image.fromarray(c).resize(size, Image.Resampling.BICUBIC)) for c in corners]
    )


@pytest.fixture(scope="session")
def made_up() -> Callable[..., np.ndarray]:
    return made_up_faces


@pytest.fixture(scope="session")
def faces_zip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """48 made-up faces of 32x32 as a zip of PNGs."""
    path = tmp_path_factory.mktemp("faces") / "faces.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number, image in enumerate(made_up_faces(48)):
            buffer = io.BytesIO()
            Image.fromarray(image).save(buffer, "PNG")
            archive.writestr(f"{number:02d}.png", buffer.getvalue())
    return path


@pytest.fixture(scope="session")
def stylegan2_reference() -> dict[str, np.ndarray]:
    """Small official StyleGAN2 networks (`G/`, `D/`) and what the official code computed with
    them."""
    return dict(np.load(REFERENCE))


@pytest.fixture(scope="session")
def same_images(stylegan2_reference: dict[str, np.ndarray]) -> Callable[[Path], Any]:
    """Open the file of an imported generator, see that it draws the official images, return it."""

    def check(path: Path) -> Any:
        import facegen_keras as fg

        generator = fg.load_generator(path)
        theirs = stylegan2_reference["image_psi_0.7_noise_const"]
        ours = generator(stylegan2_reference["z"], truncation_psi=0.7)
        assert np.abs(ours - theirs).max() / np.abs(theirs).max() < 1e-4
        return generator

    return check


@pytest.fixture(scope="session", autouse=True)
def no_cache_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Decoded photos go to a cache of this session, also those of the processes it starts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FACEGEN_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def run_python() -> Callable[..., str]:
    """Run a piece of Python in a fresh process on the given backend and return its stdout."""

    def run(code: str, backend: str = "tensorflow", timeout: float = 300, **env: str) -> str:
        result = subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT), **env},
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        assert result.returncode == 0, f"{backend}:\n{result.stdout}\n{result.stderr[-4000:]}"
        return result.stdout

    return run


def make_generator(latent_dim: int = 6, channels: int = 3) -> Any:
    import keras

    z = keras.Input((latent_dim,))
    x = keras.layers.Dense(4 * 4 * 8, use_bias=False)(z)
    x = keras.layers.Reshape((4, 4, 8))(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.LeakyReLU(0.2)(x)
    x = keras.layers.Conv2DTranspose(channels, 4, 2, "same", activation="tanh")(x)
    return keras.Model(z, x)


def make_encoder(latent_dim: int = 6) -> Any:
    import keras

    image = keras.Input((8, 8, 3))
    return keras.Model(
        image, keras.layers.Dense(2 * latent_dim)(keras.layers.Flatten()(image)), name="encoder"
    )


class TinyFamily:
    """The part of a family model that export looks at."""

    resolution, latent_dim, data_fingerprint = 8, 6, "f" * 64

    def __init__(self, family: str = "dcgan", images_seen: int = 1234) -> None:
        self.family, self.images_seen = family, images_seen
        self.main_part = "decoder" if family == "vae" else "generator"
        self.main = make_generator()
        self.encoder = make_encoder()

    def export_parts(self) -> dict[str, Any]:
        encoder = {} if self.family == "dcgan" else {"encoder": self.encoder}
        return {self.main_part: self.main, **encoder}

    def get_config(self) -> dict:
        return {"latent_dim": np.int64(6), "betas": (0.5, 0.999)}


@pytest.fixture
def tiny_generator() -> Callable[..., Any]:
    """`tiny_generator(latent_dim=6, channels=3)`: latents to images of 8x8, untrained."""
    return make_generator


@pytest.fixture
def tiny_encoder() -> Callable[..., Any]:
    """`tiny_encoder(latent_dim=6)`: images of 8x8 to means and log-variances."""
    return make_encoder


@pytest.fixture
def tiny_family() -> type[TinyFamily]:
    """`tiny_family(family="dcgan", images_seen=1234)`."""
    return TinyFamily


@pytest.fixture
def saved(tmp_path: Path) -> tuple[TinyFamily, Path]:
    """A model and the file it was exported to."""
    from facegen_keras.export.write import save_generator

    model = TinyFamily()
    return model, save_generator(model, tmp_path / "dcgan_generator.h5", run="first")
