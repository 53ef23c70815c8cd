"""Faces of seeds and latents."""

import numpy as np
import pytest

from facegen_keras.errors import UserError
from facegen_keras.generate.loading import load_generator


def test_a_seed_is_one_face_in_any_company(saved):
    generator = load_generator(saved[1])
    many = generator.sample(range(40))
    assert many.dtype == np.uint8
    assert many.shape == (40, 8, 8, 3)
    np.testing.assert_array_equal(generator.sample([39, 3, 17]), many[[39, 3, 17]])
    np.testing.assert_array_equal(generator.sample([33])[0], many[33])
    z = np.random.RandomState(7).randn(6).astype("float32")
    np.testing.assert_array_equal(generator(z[None]), generator(np.stack([z, z]))[:1])
    face = np.clip(np.rint((generator(z[None]) + 1) * 127.5), 0, 255).astype("uint8")
    np.testing.assert_array_equal(generator.sample([7]), face)


def test_wrong_input_to_a_generator(saved):
    generator = load_generator(saved[1])
    with pytest.raises(UserError, match=r"expected \(n, 6\)"):
        generator(np.zeros((2, 7)))
    with pytest.raises(UserError, match="truncation_psi"):
        generator.sample([0], truncation_psi=0.5)
    for seeds in ([-1], [2**32], [0.5], []):
        with pytest.raises(UserError, match="seed"):
            generator.sample(seeds)
