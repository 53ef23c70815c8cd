"""A small extractor and a small generator, so that the tests of the machinery take no time."""

import keras
import numpy as np
import pytest

from facegen_keras.generate.generator import Generator
from facegen_keras.metrics import FeatureExtractor


class TinyFeatures(FeatureExtractor):
    """24 features of an untrained but fixed network; everything around it is the real thing."""

    name, dim = "tiny", 24

    def __init__(self, batch_size: int = 16) -> None:
        random = np.random.default_rng(0)
        inputs = keras.Input((16, 16, 3))
        x = keras.layers.Conv2D(24, 5, 3, activation="relu")(inputs)
        x = keras.layers.GlobalAveragePooling2D()(x)
        network = keras.Model(inputs, x)
        network.set_weights([random.standard_normal(w.shape) for w in network.weights])
        super().__init__(
            network,
            weights_sha256="0" * 64,
            filter="bicubic",
            offset=127.5,
            scale=127.5,
            resize="tiny",
            batch_size=batch_size,
        )

    def logits(self, features: np.ndarray, bias: bool = True) -> np.ndarray:
        return features[:, :10]


def tiny_model(scale: float = 1.0) -> keras.Model:
    random = np.random.default_rng(1)
    inputs = keras.Input((4,))
    x = keras.layers.Dense(192, activation="tanh")(inputs)
    model = keras.Model(inputs, keras.layers.Reshape((8, 8, 3))(x))
    model.set_weights([scale * random.standard_normal(w.shape) for w in model.weights])
    return model


@pytest.fixture(scope="session")
def tiny() -> TinyFeatures:
    return TinyFeatures()


@pytest.fixture(scope="session")
def generator() -> Generator:
    return Generator(tiny_model(), "dcgan")


@pytest.fixture(scope="session")
def photos() -> np.ndarray:
    """Smooth random images, uint8 (60, 8, 8, 3)."""
    random = np.random.default_rng(2)
    coarse = random.integers(0, 256, (60, 2, 2, 3))
    return np.kron(coarse, np.ones((1, 4, 4, 1))).astype(np.uint8)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """No test reads or fills the user's cache."""
    monkeypatch.setenv("FACEGEN_CACHE", str(tmp_path / "cache"))
