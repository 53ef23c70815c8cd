"""The smallest models that can be exported."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from facegen_keras.export.write import save_generator


def make_generator(latent_dim: int = 6, channels: int = 3) -> keras.Model:
    z = keras.Input((latent_dim,))
    x = keras.layers.Dense(4 * 4 * 8, use_bias=False)(z)
    x = keras.layers.Reshape((4, 4, 8))(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.LeakyReLU(0.2)(x)
    x = keras.layers.Conv2DTranspose(channels, 4, 2, "same", activation="tanh")(x)
    return keras.Model(z, x)


def make_encoder(latent_dim: int = 6) -> keras.Model:
    image = keras.Input((8, 8, 3))
    return keras.Model(
        image, keras.layers.Dense(2 * latent_dim)(keras.layers.Flatten()(image)), name="encoder"
    )


class TinyFamily:
    """The part of a family model that export looks at."""

    resolution, latent_dim, data_fingerprint = 8, 6, "f" * 64

    def __init__(self, family: str = "dcgan", images_seen: int = 1234) -> None:
        self.family, self.images_seen = family, images_seen
        self.main = make_generator()
        self.encoder = make_encoder()

    def export_parts(self) -> dict[str, keras.Model]:
        main = "decoder" if self.family == "vae" else "generator"
        encoder = {} if self.family == "dcgan" else {"encoder": self.encoder}
        return {main: self.main, **encoder}

    def get_config(self) -> dict:
        return {"latent_dim": np.int64(6), "betas": (0.5, 0.999)}


@pytest.fixture
def tiny_generator() -> Callable[..., keras.Model]:
    """`tiny_generator(latent_dim=6, channels=3)`: latents to images of 8x8, untrained."""
    return make_generator


@pytest.fixture
def tiny_encoder() -> Callable[..., keras.Model]:
    """`tiny_encoder(latent_dim=6)`: images of 8x8 to means and log-variances."""
    return make_encoder


@pytest.fixture
def tiny_family() -> type[TinyFamily]:
    """`tiny_family(family="dcgan", images_seen=1234)`."""
    return TinyFamily


@pytest.fixture
def saved(tmp_path: Path) -> tuple[TinyFamily, Path]:
    """A model and the file it was exported to."""
    model = TinyFamily()
    return model, save_generator(model, tmp_path / "dcgan_generator.h5", run="first")
