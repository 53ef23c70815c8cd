"""The distance of pixels is the one that a projection minimises."""

import numpy as np
import pytest
from keras import ops

from facegen_keras.errors import UserError
from facegen_keras.generate.projection import distance
from facegen_keras.inference import to_network_range
from facegen_keras.metrics import PixelFeatures


@pytest.mark.parametrize("side", [8, 32])
def test_the_squared_distance_is_that_of_a_projection(side):
    images = np.random.RandomState(0).randint(0, 256, (5, side, side, 3)).astype("uint8")
    pixels = PixelFeatures(side, batch_size=2)
    features = pixels(images)
    assert features.shape == (5, pixels.dim)
    first, *others = features
    for k, other in enumerate(others, 1):
        pair = (to_network_range(images[i : i + 1]) for i in (k, 0))
        expected = float(ops.convert_to_numpy(distance(*pair)))
        assert np.square(other - first).sum() == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(pixels.from_floats(images.astype("float32")), features, atol=1e-7)
    assert pixels.label == "multi-scale pixels"


def test_a_resolution_that_cannot_be_halved():
    with pytest.raises(UserError, match="power of two"):
        PixelFeatures(12)
