"""Likeness: known distances, errors over faces, and the detail that blur takes."""

import keras
import numpy as np
import pytest

from facegen_keras.errors import UserError
from facegen_keras.metrics import distortions, likeness


def test_errors_are_those_of_new_faces():
    random = np.random.default_rng(0)
    values = random.normal(3, 2, 400)
    found = likeness.mean_of(values)
    assert found == pytest.approx(values.mean())
    assert found.error == pytest.approx(values.std(ddof=1) / 20)
    ratios = [
        likeness.ratio_of(whole * share, whole)
        for whole, share in random.uniform((1, 0), (3, 1), (300, 50, 2)).transpose(0, 2, 1)
    ]
    assert np.mean(ratios) == pytest.approx(0.5, abs=0.01)
    assert np.mean([r.error for r in ratios]) == pytest.approx(np.std(ratios), rel=0.1)
    with pytest.raises(UserError, match="1 faces"):
        likeness.mean_of(np.ones(1))


def test_known_distances(made_up):
    faces = np.full((3, 32, 32, 3), 100, "uint8")
    assert likeness.pixel_error(faces, faces + 7) == 7
    assert likeness.distances(np.zeros((2, 4)), np.ones((2, 4))).tolist() == [2, 2]
    assert likeness.pixels(faces[:1] + 155).shape == (1, 3072)
    faces = likeness.pixels(made_up(8))
    assert likeness.feature_distance(faces, faces) == 0
    assert likeness.feature_distance(faces, np.roll(faces, 1, axis=0)) == pytest.approx(1)


def test_a_network_is_asked_in_its_own_size(made_up):
    image = keras.Input((16, 16, 3))
    mean = keras.layers.GlobalAveragePooling2D()(image)
    network = keras.Model(image, [keras.layers.Flatten()(image), mean])
    see = likeness.features_of(network, network.outputs[1])
    faces = made_up(3, 32)
    np.testing.assert_allclose(see(faces), faces.mean(axis=(1, 2)) / 127.5 - 1, atol=0.01)


def test_blur_takes_fine_detail():
    faces = np.random.RandomState(0).randint(0, 256, (6, 32, 32, 3), dtype=np.uint8)
    assert likeness.fine_detail(faces, faces) == pytest.approx(1)
    soft = likeness.fine_detail(faces, distortions.blur(faces, 1))
    # A Gaussian of one pixel leaves exp(-(2 pi / 4)^2) of the power at a quarter of a cycle.
    assert soft == pytest.approx(np.exp(-((np.pi / 2) ** 2)), abs=0.02)
    assert 0 < soft.error < 0.05
