"""Attributes read what was painted, and directions are found where they were hidden."""

import keras
import numpy as np
import pytest

from facegen_keras.errors import UserError
from facegen_keras.generate import attributes
from facegen_keras.generate.generator import Generator


def painted(box=None, colour=(200, 200, 200), level=100, side=64) -> np.ndarray:
    image = np.full((1, side, side, 3), level, "uint8")
    if box:
        left, top, right, bottom = (round(part * side) for part in box)
        image[:, top:bottom, left:right] = colour
    return image


def test_known_answers():
    assert attributes.brightness(painted(level=40)) == [40]
    assert attributes.warmth(painted((0, 0, 1, 0.5), (180, 100, 60), 100)) == [60]
    assert attributes.smile(painted()) == [0]
    assert attributes.smile(painted(attributes.MOUTH, (220, 220, 220))) == [120]  # teeth
    lips = attributes.smile(painted(attributes.MOUTH, (160, 60, 80)))
    assert lips == [pytest.approx(100 - 100 - 100)]  # as light as the cheeks, 100 redder
    assert attributes.turn(painted(attributes.LEFT_HALF, (130, 130, 130))) == [30]
    assert attributes.turn(painted(attributes.RIGHT_HALF, (130, 130, 130), side=8)) < 0


def test_measured_together():
    images = np.concatenate([painted(level=level) for level in (10, 20, 30)])
    values = attributes.measure(images)
    assert values.shape == (3, len(attributes.ATTRIBUTES))
    assert values[:, 0].tolist() == [10, 20, 30]


def test_directions_hold_the_other_attributes_fixed():
    random = np.random.RandomState(0)
    light = random.randn(400)
    warm = 0.8 * light + 0.6 * random.randn(400)  # the two go together
    means = np.stack([5 + 2 * light, 3 * warm, np.zeros(400)], axis=1)
    directions = attributes.attribute_directions(means, np.stack([light, warm], axis=1))
    expected = [[2 * light.std(), 0, 0], [0, 3 * warm.std(), 0]]
    np.testing.assert_allclose(directions, expected, atol=1e-6)
    with pytest.raises(UserError, match="3 latents for 400 photos"):
        attributes.attribute_directions(means[:3], np.stack([light, warm], axis=1))
    with pytest.raises(UserError, match="the same for all"):
        attributes.attribute_directions(means, np.stack([light, np.ones(400)], axis=1))


def test_an_attribute_as_the_difference_of_two_means():
    values = np.array([3.0, 0.0, 1.0, 9.0, 8.0, 2.0, 5.0, 4.0])
    means = np.stack([values, 2 * np.ones(8)], axis=1)
    assert attributes.attribute_vector(means, values).tolist() == [8, 0]  # (9 + 8 - 0 - 1) / 2
    assert attributes.attribute_vector(means, values, 0.5).tolist() == [5, 0]
    for latents, share in ((means[:3], 0.25), (means, 0.1), (means, 0.6)):
        with pytest.raises(UserError, match=f"{len(latents)} latents for 8 photos, a share of"):
            attributes.attribute_vector(latents, values, share)


def test_a_traversal_moves_one_face():
    z = keras.Input((2,))
    image = keras.layers.Reshape((1, 1, 3))(keras.layers.Dense(3, name="colour")(z))
    model = keras.Model(z, image)
    model.get_layer("colour").set_weights([np.array([[1, 0, 0], [0, 1, 0]]), np.zeros(3)])
    directions = np.array([[0.5, 0], [0, 0.25]], "float32")
    strips = attributes.traverse_latent(Generator(model), np.zeros(2), directions, steps=(-1, 0, 1))
    assert strips.shape == (2, 3, 1, 1, 3)
    assert strips[0, :, 0, 0, 0].tolist() == [64, 128, 191]
    assert strips[1, :, 0, 0, 1].tolist() == [96, 128, 159]


def test_skin_tone_is_the_angle_of_the_cheeks():
    # L*a*b* of sRGB red, D65: 53.24, 80.09, 67.20
    red = painted((0, 0, 1, 1), (255, 0, 0))
    assert attributes.skin_tone(red) == [
        pytest.approx(np.degrees(np.arctan2(3.24, 67.2)), abs=0.02)
    ]
    light, dark = ((224, 190, 165), (95, 62, 44))
    both = np.concatenate([painted((0, 0, 1, 1), colour) for colour in (light, dark)])
    tones = attributes.skin_tone(both)
    assert tones[0] > 28 > -30 > tones[1]  # Chardon: intermediate or lighter, and dark
    face = painted((0, 0, 1, 1), light)
    face[:, :20] = 0  # hair does not count
    assert attributes.skin_tone(face) == [tones[0]]
    assert attributes.skin_tone(painted(level=3)).shape == (1,)
