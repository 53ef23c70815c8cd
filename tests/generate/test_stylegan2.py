"""Truncation, noise and styles at call time, against the official images."""

import numpy as np
import pytest

import facegen_keras as fg
from facegen_keras.errors import UserError
from facegen_keras.export.write import write_model
from facegen_keras.models import stylegan2


@pytest.fixture(scope="module")
def generator(stylegan2_reference, tmp_path_factory):
    """Written and read as a user would, with the official weights of the reference."""
    model = stylegan2.build_generator(32, 32, 32, 2, {4: 32, 8: 32, 16: 32, 32: 16})
    stylegan2.load_official(
        model, {k: v for k, v in stylegan2_reference.items() if k.startswith("G/")}
    )
    path = tmp_path_factory.mktemp("stylegan2") / "stylegan2_generator.h5"
    write_model(model, path, {"family": "stylegan2", "part": "generator"})
    return fg.load_generator(path)


def near(ours, theirs):
    np.testing.assert_allclose(ours, theirs, atol=1e-4 * np.abs(theirs).max())


def test_the_official_images_at_call_time(generator, stylegan2_reference):
    z = stylegan2_reference["z"]
    near(generator.mapping(z), stylegan2_reference["w"])
    near(generator(z), stylegan2_reference["image_psi_1.0_noise_const"])
    near(generator(z, truncation_psi=0.7), stylegan2_reference["image_psi_0.7_noise_const"])
    near(
        generator(z, truncation_psi=0.7, noise_mode="none"),
        stylegan2_reference["image_psi_0.7_noise_none"],
    )
    near(
        generator(z, truncation_psi=0.5, truncation_cutoff=4, noise_mode="const"),
        stylegan2_reference["image_psi_0.5_cutoff_4_noise_const"],
    )
    styles = generator.styles(stylegan2_reference["w"])
    styles[:, 3:] = styles[::-1, 3:].copy()
    near(
        generator.synthesis(styles),
        stylegan2_reference["image_mixed_from_layer_3_with_reversed_batch"],
    )


@pytest.mark.parametrize("noise_mode", ["const", "random", "none"])
def test_a_seed_is_one_face_in_any_company(generator, noise_mode):
    faces = generator.sample(range(20), truncation_psi=0.7, noise_mode=noise_mode)
    assert faces.shape == (20, 32, 32, 3)
    assert faces.dtype == np.uint8
    alone = generator.sample([17], truncation_psi=0.7, noise_mode=noise_mode)
    np.testing.assert_array_equal(alone[0], faces[17])


def test_noise_modes_differ_and_random_noise_is_new(generator, stylegan2_reference):
    z = stylegan2_reference["z"][:1]
    images = [generator(z, noise_mode=mode) for mode in ("const", "none", "random", "random")]
    for i in range(4):
        for j in range(i):
            assert np.abs(images[i] - images[j]).max() > 1e-2


def test_no_truncation_is_exact_and_full_truncation_is_the_average(generator, stylegan2_reference):
    w = stylegan2_reference["w"]
    np.testing.assert_array_equal(generator.styles(w, 1.0)[:, 5], w)
    average = generator.styles(w, 0.0)
    np.testing.assert_array_equal(average, np.broadcast_to(generator.w_avg, average.shape))
    cut = generator.styles(w, 0.0, truncation_cutoff=3)
    np.testing.assert_array_equal(cut[:, 3:], np.repeat(w[:, None], 5, axis=1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"truncation_cutoff": 9}, "expected 0 to 8 layers"),
        ({"noise_mode": "loud"}, "const, random, none"),
        ({"truncation_psi": float("nan")}, "truncation_psi nan"),
        ({"noise_mode": "random", "noise_seeds": [1, 2]}, "2 noise_seeds for 8 images"),
        ({"noise_mode": "random", "noise_seeds": 5}, "noise_seeds 5: expected several"),
        ({"noise_mode": "random", "noise_seeds": [-1] * 8}, "noise seed -1: expected a whole"),
        ({"truncation_psi": "0.7"}, "truncation_psi '0.7': expected a number"),
        ({"truncation_psi": None}, "truncation_psi None: expected a number"),
        ({"truncation_psi": [0.5, 1.0]}, "expected a number such as 0.7"),
        ({"truncation_cutoff": "4"}, "truncation_cutoff '4': expected 0 to 8 layers"),
        ({"truncation_cutoff": 1.5}, "truncation_cutoff 1.5: expected 0 to 8 layers"),
    ],
)
def test_impossible_options_are_named(generator, stylegan2_reference, options, message):
    with pytest.raises(UserError, match=message):
        generator(stylegan2_reference["z"], **options)


def test_wrong_shapes_are_named(generator):
    with pytest.raises(UserError, match=r"expected \(n, 32\)"):
        generator(np.zeros((2, 31)))
    with pytest.raises(UserError, match=r"expected \(n, 8, 32\)"):
        generator.synthesis(np.zeros((2, 7, 32)))


def test_one_where_several_are_expected_is_named(generator):
    for call, message in (
        (lambda: generator.sample(3), r"seeds 3: expected several, such as \[3\]"),
        (lambda: generator.walk_between(1, 2, 0.5), "positions 0.5: expected several"),
        (lambda: generator.walk_between(1, 2, [1], layers=3), r"layers 3: .* such as \[3\]"),
        (lambda: generator.walk_between(1, 2, [1], layers="0-3"), "expected some of 0 to 7"),
        (lambda: generator.walk_between(1, 2, [1], layers=[1.5]), "expected some of 0 to 7"),
    ):
        with pytest.raises(UserError, match=message):
            call()
