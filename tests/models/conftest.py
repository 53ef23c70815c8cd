"""A StyleGAN2 that is built and trained in no time."""

from collections.abc import Callable
from typing import Any

import keras
import pytest

from facegen_keras.models.stylegan2.family import StyleGAN2

TINY = {
    "resolution": 32,
    "latent_dim": 8,
    "w_dim": 8,
    "mapping_layers": 2,
    "channel_base": 128,
    "channel_max": 4,
}


@pytest.fixture(scope="session")
def tiny_stylegan2() -> Callable[..., StyleGAN2]:
    """Build one, compiled, with other options where wanted; the same weights every time."""

    def build(**options: Any) -> StyleGAN2:
        keras.utils.set_random_seed(1)
        model = StyleGAN2(**{**TINY, **options})
        model.compile()
        model.batch_size = 4
        return model

    return build
