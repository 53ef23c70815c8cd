"""What the demo can do, without its page."""

import imageio_ffmpeg
import numpy as np
import pytest

from facegen_keras.demo.studio import DIRECTIONS, Studio, enlarged, models_in
from facegen_keras.demo.uploads import read_uploads
from facegen_keras.errors import UserError
from facegen_keras.generate.loading import load_encoder
from facegen_keras.generate.projection import project
from facegen_keras.generate.reconstruction import reconstruct
from facegen_keras.generate.w_space import move_w, pca_directions, style_mix, traverse_w

STYLEGAN2, VAE = "stylegan2_generator", "vae_decoder"


def cells(sheet: np.ndarray, size: int) -> np.ndarray:
    """The cells of a sheet, row by row."""
    rows, columns = sheet.shape[0] // size, sheet.shape[1] // size
    return sheet.reshape(rows, size, columns, size, 3).swapaxes(1, 2).reshape(-1, size, size, 3)


def test_models_are_found_and_sorted_by_what_they_can(studio, models):
    assert [path.stem for path in models_in(models)] == [STYLEGAN2, VAE]  # no encoder
    assert studio.of_family("stylegan2") == [STYLEGAN2]
    assert studio.with_encoder() == [VAE]
    assert studio.layers == studio.generator(STYLEGAN2).layers == 4
    with pytest.raises(UserError, match="demo: no model"):
        Studio([])


def test_faces_are_those_of_the_seeds(studio):
    ours = enlarged(studio.generator(STYLEGAN2).sample([3, 4], truncation_psi=0.5), 128)
    sheet = cells(studio.faces(STYLEGAN2, 3, 4, psi=0.5), 128)
    np.testing.assert_array_equal(sheet[:2], ours)
    one = studio.faces(VAE, 7, 1, psi=0.5)  # has no truncation
    np.testing.assert_array_equal(one, enlarged(studio.generator(VAE).sample([7]), 512)[0])
    compared = studio.compare(7)
    assert [name for _, name in compared] == [STYLEGAN2, VAE]
    np.testing.assert_array_equal(compared[1][0], one)


def test_styles_are_mixed_in_the_chosen_layers(studio):
    sheet = cells(studio.mix(STYLEGAN2, 0, 10, 1, 2, psi=0.7), 128)
    ours = style_mix(
        studio.generator(STYLEGAN2), [0, 1, 2], [10, 11, 12], [1, 2], truncation_psi=0.7
    )
    np.testing.assert_array_equal(sheet, enlarged(ours.reshape(-1, 8, 8, 3), 128))
    assert (sheet[0] == 255).all()


def test_sliders_move_along_directions(studio):
    generator = studio.generator(STYLEGAN2)
    amounts = [0.0] * DIRECTIONS
    still = studio.move(STYLEGAN2, 5, amounts, psi=0.7)
    ours = enlarged(generator.sample([5], truncation_psi=0.7), 512)[0]
    np.testing.assert_array_equal(still, ours)
    directions = pca_directions(generator, DIRECTIONS)
    table = traverse_w(generator, directions, 5, [2.0])
    amounts[1] = 2.0
    np.testing.assert_array_equal(move_w(generator, directions, 5, amounts), table[1, 0])
    amounts[3] = -2.0
    both = move_w(generator, directions, 5, amounts).astype(int)
    assert np.abs(both - table[1, 0]).max() > 0
    with pytest.raises(UserError, match="1 amounts for 6 directions"):
        move_w(generator, directions, 5, [1.0])


def test_a_walk_is_a_film(studio):
    path = studio.walk(STYLEGAN2, 0, 2, 12, psi=0.7)
    frames, seconds = imageio_ffmpeg.count_frames_and_secs(path)
    assert (frames, seconds) == (12, 0.5)


def test_a_photo_is_reconstructed_and_deleted(studio, photos, upload):
    photo = upload(photos[0])
    pair = studio.reconstruct(VAE, photo)
    assert pair.shape == (256, 512, 3)
    seen = read_uploads([upload(photos[0])], 8)
    again = reconstruct(studio.generator(VAE), load_encoder(studio.paths[VAE]), seen)
    expected = enlarged(np.concatenate([seen, again]), 256)
    np.testing.assert_array_equal(pair, np.concatenate(expected, axis=1))
    assert (expected[0] != expected[1]).any()
    assert not photo.exists()
    assert photos[0].exists()


def test_a_photo_is_projected_with_progress(studio, photos, upload):
    photo, seen = upload(photos[0]), []
    triple, film = studio.project(STYLEGAN2, photo, 5, lambda done, loss: seen.append((done, loss)))
    assert triple.shape == (256, 768, 3)
    (again,) = read_uploads([upload(photos[0])], 8)
    found = project(studio.generator(STYLEGAN2), again, 5, progress=False)
    expected = enlarged(np.stack([again, found.start, found.image]), 256)
    np.testing.assert_array_equal(triple, np.concatenate(expected, axis=1))
    assert (found.start != found.image).any()
    assert [done for done, _ in seen] == [1, 2, 3, 4, 5]
    assert all(0 < loss < 4 for _, loss in seen)
    assert imageio_ffmpeg.count_frames_and_secs(film)[0] == 6
    assert not photo.exists()


def test_a_test_uses_uploads_or_the_data_set(studio, photos, upload, models):
    uploads = [upload(path) for path in photos]
    test = studio.human_test(STYLEGAN2, uploads)
    assert test.photos.shape == test.drawn.shape == (20, 8, 8, 3)
    assert not any(path.exists() for path in uploads)
    own = Studio([models / "vae_decoder.h5"], data_path=photos[0].parent).human_test(VAE)
    assert own.pairs == 20
    with pytest.raises(UserError, match="choose photos of faces, 5 to 20"):
        studio.human_test(VAE)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda s, p: s.faces("x", 0), "model 'x': expected one of stylegan2_generator, vae_dec"),
        (lambda s, p: s.faces(VAE, 0, 65), "count 65: expected 1 to 64"),
        (lambda s, p: s.faces(VAE, -1), "seed -1: expected a whole number"),
        (lambda s, p: s.faces(VAE, None), "seed None: expected a whole number from 0 on"),
        (lambda s, p: s.walk(VAE, None, 3, 24), "seed None: expected a whole number from 0 on"),
        (lambda s, p: s.walk(VAE, 0, 3, 241), "frames 241: expected 3 to 240"),
        (
            lambda s, p: s.mix(VAE, 0, 1, 0, 1),
            "vae_decoder: only a StyleGAN2 has styles; it is a v",
        ),
        (lambda s, p: s.mix(STYLEGAN2, 0, 1, 3, 2), "first 3: expected 0 to 2"),
        (lambda s, p: s.mix(STYLEGAN2, 0, 1, 0, 4), "layer"),
        (lambda s, p: s.project(STYLEGAN2, p, 1001), "steps 1001: expected 1 to 1000"),
        (lambda s, p: s.reconstruct(STYLEGAN2, p), "has no encoder"),
        (lambda s, p: s.human_test(VAE, [p]), "expected at least 5"),
    ],
)
def test_mistakes_are_one_line(studio, photos, upload, ask, message):
    photo = upload(photos[0])
    with pytest.raises(UserError, match=message) as caught:
        ask(studio, photo)
    assert "\n" not in str(caught.value)
