"""Mixing, truncating, directions and projection, on the official reference generator."""

from pathlib import Path

import numpy as np
import pytest
from keras import ops

from facegen_keras.cli.values import parse_layers
from facegen_keras.errors import UserError
from facegen_keras.generate import w_space
from facegen_keras.generate.generator import Generator, interpolate_seeds
from facegen_keras.generate.projection import distance, project
from facegen_keras.generate.stylegan2 import StyleGAN2Generator, interpolate_w
from facegen_keras.models import stylegan2
from facegen_keras.models.dcgan import build_generator

REFERENCE = Path(__file__).parent.parent / "fixtures" / "stylegan2_reference.npz"


@pytest.fixture(scope="module")
def generator():
    state = {k: v for k, v in np.load(REFERENCE).items() if k.startswith("G/")}
    model = stylegan2.build_generator(32, 32, 32, 2, {4: 32, 8: 32, 16: 32, 32: 16})
    stylegan2.load_official(model, state)
    return StyleGAN2Generator(model)


def test_the_matrix_of_mixed_styles(generator):
    matrix = w_space.style_mix(generator, [1, 2], [3, 4, 5], range(2), truncation_psi=0.7)
    assert matrix.shape == (3, 4, 32, 32, 3)
    assert (matrix[0, 0] == 255).all()
    plain = generator.sample([1, 2, 3, 4, 5], truncation_psi=0.7)
    np.testing.assert_array_equal(matrix[1:, 0], plain[:2])
    np.testing.assert_array_equal(matrix[0, 1:], plain[2:])
    w = generator.mapping(np.random.RandomState(2).randn(1, 32))
    other = generator.mapping(np.random.RandomState(4).randn(1, 32))
    styles = generator.styles(w, 0.7)
    styles[:, :2] = generator.styles(other, 0.7)[:, :2]
    image = np.clip(np.rint((generator.synthesis(styles)[0] + 1) * 127.5), 0, 255)
    np.testing.assert_array_equal(matrix[2, 2], image.astype("uint8"))
    # All layers from the column is the column's face.
    whole = w_space.style_mix(generator, [1], [3], range(8))
    np.testing.assert_array_equal(whole[1, 1], whole[0, 1])


def test_layers_are_parsed():
    assert parse_layers("0-3,6", 8) == [0, 1, 2, 3, 6]
    for text in ("8", "3-1", "a", ""):
        with pytest.raises(UserError, match="from 0 to 7"):
            parse_layers(text, 8)


def test_the_truncation_sweep(generator):
    faces = w_space.truncation_sweep(generator, [7, 8], psis=(0.0, 0.5, 1.0))
    assert faces.shape == (2, 3, 32, 32, 3)
    np.testing.assert_array_equal(faces[0, 0], faces[1, 0])
    np.testing.assert_array_equal(faces[:, 2], generator.sample([7, 8]))


def test_a_walk_in_w(generator):
    frames = interpolate_w(generator, [1, 2], frames=5, loop=False)
    np.testing.assert_array_equal(frames[[0, -1]], generator.sample([1, 2]))
    loop = interpolate_w(generator, [1, 2], frames=4, noise_mode="none", truncation_psi=0.5)
    plain = generator.sample([1, 2], noise_mode="none", truncation_psi=0.5)
    np.testing.assert_array_equal(loop[[0, 2]], plain)


def test_the_space_of_a_walk_can_be_chosen(generator):
    walk = [1, 2], 5, False
    np.testing.assert_array_equal(generator.interpolate(*walk), interpolate_w(generator, *walk))
    in_z = generator.interpolate(*walk, space="z")
    np.testing.assert_array_equal(in_z, interpolate_seeds(generator, *walk))
    assert (in_z[2] != generator.interpolate(*walk)[2]).any()
    with pytest.raises(UserError, match=r"space 'w\+': a stylegan2 generator has z and w"):
        generator.interpolate(*walk, space="w+")


def test_the_frames_of_a_walk_can_have_noise_of_their_own(generator):
    settings = {"frames": 3, "loop": False, "noise_mode": "random"}
    one_noise = generator.interpolate([1, 2], **settings)
    np.testing.assert_array_equal(
        generator.interpolate([1, 2], **settings, noise_seeds=[1, 1, 1]), one_noise
    )
    other = generator.interpolate([1, 2], **settings, noise_seeds=[1, 1, 2])
    assert (other != one_noise).any(axis=(1, 2, 3)).tolist() == [False, False, True]


def test_layers_that_do_not_exist_are_refused_everywhere(generator):
    directions = w_space.sefa_directions(generator, count=1)
    for layers in ([8], [-1], []):
        for use in (
            lambda x: generator.walk_between(1, 2, [1], layers=x),
            lambda x: w_space.traverse_w(generator, directions, layers=x),
            lambda x: w_space.style_mix(generator, [1], [2], x),
            lambda x: w_space.sefa_directions(generator, 1, x),
        ):
            with pytest.raises(UserError, match="expected some of 0 to 7"):
                use(layers)


def test_a_generator_without_styles_is_named_everywhere(generator):
    directions = w_space.Directions(np.eye(1, 32, dtype="float32"), np.ones(1, "float32"), "pca")
    other = Generator(build_generator(32, 8, 4, "float32"), "dcgan")
    for use in (
        lambda g: w_space.style_mix(g, [1], [2], [0]),
        lambda g: w_space.truncation_sweep(g, [1]),
        w_space.pca_directions,
        w_space.sefa_directions,
        lambda g: w_space.traverse_w(g, directions),
        lambda g: w_space.move_w(g, directions, 1, [1.0]),
        lambda g: project(g, np.zeros((32, 32, 3), "uint8")),
    ):
        with pytest.raises(UserError, match="generator: a dcgan; only a StyleGAN2"):
            use(other)
    for call, message in (
        (lambda: w_space.style_mix(generator, 1, [2], [0]), "rows 1: expected several"),
        (lambda: w_space.style_mix(generator, [1], 2, [0]), "columns 2: expected several"),
        (lambda: w_space.truncation_sweep(generator, 3), "seeds 3: expected several"),
        (lambda: w_space.truncation_sweep(generator, [3], 0.5), "psis 0.5: expected several"),
    ):
        with pytest.raises(UserError, match=message):
            call()


def test_random_noise_is_that_of_the_faces_own_seed(generator):
    options = {"truncation_psi": 0.7, "noise_mode": "random"}
    matrix = w_space.style_mix(generator, [1, 2], [3, 4], range(2), **options)
    np.testing.assert_array_equal(matrix[1:, 0], generator.sample([1, 2], **options))
    np.testing.assert_array_equal(matrix[0, 1:], generator.sample([3, 4], **options))
    whole = w_space.style_mix(generator, [1, 2], [1, 2], range(8), **options)
    for face in (1, 2):  # its own styles and its own noise
        np.testing.assert_array_equal(whole[face, face], whole[face, 0])
    faces = w_space.truncation_sweep(generator, [7, 8], (0.5, 1.0), noise_mode="random")
    for column, psi in enumerate((0.5, 1.0)):
        expected = generator.sample([7, 8], truncation_psi=psi, noise_mode="random")
        np.testing.assert_array_equal(faces[:, column], expected)


def test_pca_finds_the_axes_of_w(generator):
    found = w_space.pca_directions(generator, count=32, samples=2000)
    np.testing.assert_allclose(found.vectors @ found.vectors.T, np.eye(32), atol=1e-5)
    assert (np.diff(found.scales) <= 1e-6).all()
    z = np.random.RandomState(0).randn(2000, 32)
    w = generator.mapping(z)
    along_first = w @ found.vectors[0]
    assert along_first.std(ddof=1) == pytest.approx(float(found.scales[0]), rel=1e-4)
    total = w.var(axis=0, ddof=1).sum()
    assert (found.scales**2).sum() == pytest.approx(float(total), rel=1e-4)


def test_sefa_finds_what_the_weights_amplify(generator):
    found = w_space.sefa_directions(generator, count=32)
    network = generator.network("const")
    kernels = [
        ops.convert_to_numpy(layer.affine_kernel)
        for layer in network.layers
        if hasattr(layer, "affine_kernel")
    ]
    stacked = np.concatenate([k / np.linalg.norm(k, axis=0) for k in kernels], axis=1)
    gains = np.linalg.norm(found.vectors @ stacked, axis=1)
    assert (np.diff(gains) <= 1e-4).all()
    assert gains[0] == pytest.approx(np.linalg.svd(stacked, compute_uv=False)[0], rel=1e-4)


def test_a_face_moves_along_a_direction(generator):
    found = w_space.sefa_directions(generator, count=2)
    faces = w_space.traverse_w(generator, found, seed=5, steps=(-2, 0, 2))
    assert faces.shape == (2, 3, 32, 32, 3)
    plain = generator.sample([5], truncation_psi=0.7)[0]
    np.testing.assert_array_equal(faces[0, 1], plain)
    np.testing.assert_array_equal(faces[1, 1], plain)
    assert (faces[0, 0] != plain).any()
    assert (faces[0, 2] != faces[1, 2]).any()
    with pytest.raises(UserError, match="expected 1 to 32"):
        w_space.sefa_directions(generator, count=33)


def test_projection_finds_a_face_of_the_generator(generator):
    photo = generator.sample([11], truncation_psi=0.7)[0]
    found = project(generator, photo, steps=60, frames=4, progress=False)
    assert found.styles.shape == (1, 8, 32)
    assert found.frames.shape == (5, 32, 32, 3)
    before = np.square(found.start / 127.5 - photo / 127.5).mean()
    after = np.square(found.image / 127.5 - photo / 127.5).mean()
    assert after < 0.4 * before
    np.testing.assert_array_equal(found.frames[-1], found.image)
    assert (found.styles == found.styles[:, :1]).all()  # in w, every layer has the same
    plus = project(generator, photo, steps=2, space="w+", progress=False)
    assert (plus.styles[:, 0] != plus.styles[:, 1]).any()
    with pytest.raises(UserError, match=r"expected uint8 \(32, 32, 3\)"):
        project(generator, photo[:16], progress=False)


def test_the_distance_sees_all_scales():
    a = np.zeros((1, 32, 32, 3), "float32")
    checkers = np.indices((32, 32)).sum(axis=0) % 2 * 2.0 - 1
    b = np.broadcast_to(checkers[..., None], a.shape).astype("float32")
    assert float(distance(ops.convert_to_tensor(a), ops.convert_to_tensor(b))) == pytest.approx(
        1 / 3
    )
