"""Seeds, grids, walks, reconstructions and films."""

import subprocess
from pathlib import Path

import imageio_ffmpeg
import keras
import numpy as np
import pytest
from PIL import Image

from facegen_keras.cli.values import parse_grid, parse_seeds
from facegen_keras.errors import UserError
from facegen_keras.generate.generator import Generator, interpolate_seeds
from facegen_keras.generate.reconstruction import encode, reconstruct
from facegen_keras.generate.walks import interpolate, straight_walk, walk
from facegen_keras.inference import latents
from facegen_keras.pictures import grid_shape, save_faces, save_frames, save_grid, tile


@pytest.fixture(scope="module")
def generator() -> Generator:
    keras.utils.set_random_seed(0)
    z = keras.Input((12,))
    x = keras.layers.Dense(2 * 2 * 3, activation="tanh")(z)
    return Generator(keras.Model(z, keras.layers.Reshape((2, 2, 3))(x)), "vae")


def numbered(count: int, height: int = 2, width: int = 4) -> np.ndarray:
    """Images of one grey level each: 1, 2, 3, ..."""
    levels = np.arange(1, count + 1, dtype="uint8")
    return np.broadcast_to(levels[:, None, None, None], (count, height, width, 3)).copy()


def test_seeds_of_a_text():
    assert parse_seeds("0-3,100") == [0, 1, 2, 3, 100]
    assert parse_seeds(" 7 ,0, 2 - 2") == [7, 0, 2]
    assert parse_seeds("4294967295") == [2**32 - 1]


@pytest.mark.parametrize("text", ["", "a", "3-1", "1,,2", "-1", "1.5", "0-4294967296", "0-2000000"])
def test_refused_seeds(text):
    with pytest.raises(UserError, match="seeds"):
        parse_seeds(text)


def test_grid_of_a_text():
    assert parse_grid("6x4") == (6, 4)
    assert parse_grid("None") is None
    with pytest.raises(UserError, match="at most 1,000,000 places"):
        parse_grid("1001x1000")
    for text in ("6", "0x3", "axb", "2x3x4"):
        with pytest.raises(UserError, match="6x4, or none"):
            parse_grid(text)
    assert [grid_shape(n) for n in (1, 2, 10, 16, 17)] == [(1, 1), (2, 1), (4, 3), (4, 4), (5, 4)]


def test_a_sheet_of_nothing_but_white_is_refused():
    assert tile(numbered(1, 1, 1), (11, 91)).shape == (91, 11, 3)
    with pytest.raises(UserError, match=r"grid 11x92: 1,012 places for 1 images"):
        tile(numbered(1, 1, 1), (11, 92))


def test_tiles_run_along_rows_on_white():
    sheet = tile(numbered(5))
    assert sheet.shape == (4, 12, 3)
    assert sheet[0, ::4, 0].tolist() == [1, 2, 3]
    assert sheet[2, ::4, 0].tolist() == [4, 5, 255]
    assert tile(numbered(5), (2, 2))[2, ::4, 0].tolist() == [3, 4]
    pattern = np.random.RandomState(0).randint(0, 255, (4, 3, 5, 3)).astype("uint8")
    np.testing.assert_array_equal(tile(pattern)[3:, 5:], pattern[3])


@pytest.mark.parametrize(
    "images",
    [np.zeros((0, 2, 2, 3), "uint8"), np.zeros((2, 2, 2, 3)), np.zeros((2, 2, 3), "uint8")],
)
def test_refused_images(images):
    with pytest.raises(UserError, match="expected uint8"):
        tile(images)


def test_pictures_on_disk_are_the_pixels(tmp_path):
    images = numbered(3)
    path = save_grid(images, tmp_path / "new" / "grid.png")
    np.testing.assert_array_equal(np.asarray(Image.open(path)), tile(images))
    paths = save_faces(images, [7, 0, 12345], "dcgan", tmp_path)
    names = ["dcgan_seed0007.png", "dcgan_seed0000.png", "dcgan_seed12345.png"]
    assert [path.name for path in paths] == names
    for path, image in zip(paths, images, strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(path)), image)
    for name in ("grid", "grid.foo"):
        with pytest.raises(UserError, match=rf"{name}: a grid is written as \.png, \.jpg"):
            save_grid(images, tmp_path / name)


def test_spherical_interpolation_known_answer():
    start, end = np.array([2.0, 0.0]), np.array([0.0, 2.0])
    path = interpolate(start, end, np.array([0, 1 / 3, 0.5, 1]))
    angles = np.array([0, np.pi / 6, np.pi / 4, np.pi / 2])
    np.testing.assert_allclose(path, 2 * np.stack([np.cos(angles), np.sin(angles)], 1), atol=1e-6)
    straight = interpolate(start, 3 * start, np.array([0.5]))
    np.testing.assert_allclose(straight, [[4, 0]], atol=1e-6)
    opposite = interpolate(start, -start, np.array([0.0, 0.25, 1.0]))
    np.testing.assert_allclose(opposite, [[2, 0], [1, 0], [-2, 0]], atol=1e-6)
    assert np.isfinite(interpolate(np.zeros(2), end, np.array([0.5]))).all()


def test_walk_visits_its_stops_and_closes_the_loop():
    z = latents([0, 7, 12], 12)
    closed = walk(z, 48, loop=True)
    assert closed.shape == (48, 12)
    np.testing.assert_allclose(closed[[0, 16, 32]], z, atol=1e-6)
    steps = np.linalg.norm(np.diff(np.concatenate([closed, closed[:1]]), axis=0), axis=1)
    # The step from the last frame to the first is as long as those before it: no jump.
    np.testing.assert_allclose(steps[-1], steps[-2], rtol=0.1)
    opened = walk(z, 9, loop=False)
    np.testing.assert_allclose(opened[[0, 4, 8]], z, atol=1e-6)
    for stops, frames in ((z[:1], 8), (z, 2)):
        with pytest.raises(UserError, match="expected"):
            walk(stops, frames, loop=True)


def test_a_straight_walk_visits_the_same_stops_on_lines():
    w = np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 8.0]])
    np.testing.assert_allclose(
        straight_walk(w, 5, loop=False), [[0, 0], [2, 0], [4, 0], [4, 4], [4, 8]]
    )
    np.testing.assert_allclose(straight_walk(w, 6, loop=True)[5], [2, 4])
    with pytest.raises(UserError, match="2 frames through 3 latents: expected 3 or more"):
        straight_walk(w, 2, loop=True)


def test_every_generator_walks_by_the_same_call(generator):
    frames = generator.interpolate([0, 7, 12], 48)
    np.testing.assert_array_equal(frames, interpolate_seeds(generator, [0, 7, 12], 48))
    ends = generator.walk_between(0, 7, [0, 1])
    np.testing.assert_array_equal(ends, generator.sample([0, 7]))
    with pytest.raises(UserError, match="space 'w': a vae generator has z"):
        generator.interpolate([0, 7], 4, space="w")
    with pytest.raises(UserError, match="layers: not an option of a vae generator"):
        generator.walk_between(0, 7, [0, 1], layers=[0])


def test_interpolated_frames_are_the_faces_at_the_stops(generator):
    frames = interpolate_seeds(generator, [0, 7, 12], frames=48)
    np.testing.assert_array_equal(frames[[0, 16, 32]], generator.sample([0, 7, 12]))


def test_latents_are_one_stream_per_seed():
    both = latents([3, 5], 4)
    np.testing.assert_array_equal(both[1], np.random.RandomState(5).randn(4).astype("float32"))
    np.testing.assert_array_equal(both[:1], latents([3], 4))


def test_reconstruction_decodes_the_mean(generator):
    image = keras.Input((2, 2, 3))
    encoder = keras.Model(image, keras.layers.Dense(24)(keras.layers.Flatten()(image)))
    photos = np.random.RandomState(0).randint(0, 256, (5, 2, 2, 3)).astype("uint8")
    kernel, bias = (np.asarray(weight) for weight in encoder.get_weights())
    mean = ((photos.reshape(5, 12) / 127.5 - 1) @ kernel + bias)[:, :12]
    np.testing.assert_allclose(encode(encoder, photos), mean, atol=1e-5)
    decoded = np.tanh(mean @ generator.model.get_weights()[0] + generator.model.get_weights()[1])
    expected = (decoded.reshape(photos.shape) + 1) * 127.5
    rebuilt = reconstruct(generator, encoder, photos)
    assert rebuilt.dtype == np.uint8
    assert np.abs(rebuilt - expected).max() < 0.51
    with pytest.raises(UserError, match="the encoder takes"):
        encode(encoder, np.zeros((1, 4, 4, 3), "uint8"))


def test_gif_holds_every_frame_and_loops(tmp_path):
    frames = np.stack([np.full((8, 8, 3), level, "uint8") for level in (0, 80, 160, 240)])
    with Image.open(save_frames(frames, tmp_path / "walk.gif")) as film:
        assert film.n_frames == 4
        assert film.info["loop"] == 0
        assert film.info["duration"] == 40
        for index, level in enumerate((0, 80, 160, 240)):
            film.seek(index)
            assert np.abs(np.asarray(film.convert("RGB"), int) - level).max() <= 1


def test_mp4_holds_every_frame(tmp_path):
    frames = np.stack([np.full((64, 64, 3), level, "uint8") for level in range(0, 240, 20)])
    path = save_frames(frames, tmp_path / "walk.mp4")
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path)]
    raw = [*command, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    decoded = subprocess.run(raw, capture_output=True, check=True).stdout
    played = np.frombuffer(decoded, "uint8").reshape(-1, 64, 64, 3)
    assert np.abs(played.astype(int) - frames).max() <= 3
    assert len(played) == 12
    with pytest.raises(UserError, match="even size"):
        save_frames(frames[:, :63], tmp_path / "odd.mp4")


@pytest.mark.parametrize("name", ["walk.gif", "walk.mp4", "walk.png"])
def test_a_folder_in_the_place_of_a_film_is_one_line_and_nothing_is_left_beside_it(tmp_path, name):
    (tmp_path / name).mkdir()
    with pytest.raises(UserError, match=f"{name}: could not be written") as error:
        save_frames(numbered(3, 8, 8), tmp_path / name)
    assert "\n" not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_film_that_ffmpeg_does_not_finish_is_no_success(tmp_path, monkeypatch):
    def cut_off(path, *_, **__):
        yield  # the start
        yield Path(path).write_bytes(b"ftyp, and then the disk was full")

    monkeypatch.setattr(imageio_ffmpeg, "write_frames", cut_off)
    (tmp_path / "walk.mp4").write_bytes(b"before")
    with pytest.raises(UserError, match=r"walk\.mp4: could not be written \(ffmpeg did not finish"):
        save_frames(numbered(1, 8, 8), tmp_path / "walk.mp4")
    assert (tmp_path / "walk.mp4").read_bytes() == b"before"


def test_strip_is_one_row(tmp_path):
    frames = numbered(4, 3, 3)
    strip = np.asarray(Image.open(save_frames(frames, tmp_path / "walk.png")))
    assert strip.shape == (3, 12, 3)
    assert strip[0, ::3, 0].tolist() == [1, 2, 3, 4]
    with pytest.raises(UserError, match=r"\.gif, \.mp4 or \.png"):
        save_frames(frames, tmp_path / "walk.avi")


@pytest.mark.parametrize("folder", ["2024-05-01T10:00", "-x", "a b ä"])
def test_an_mp4_in_a_folder_of_any_name(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert save_frames(numbered(2, 8, 8), Path(folder) / "walk.mp4").stat().st_size > 0


@pytest.mark.parametrize("name", ["walk.gif", "walk.mp4", "walk.png"])
@pytest.mark.parametrize("frames", [numbered(2, 8, 8) / 255.0, numbered(2, 8, 8)[:0]])
def test_frames_that_are_no_pictures_are_refused(tmp_path, name, frames):
    """As mp4, the bytes of float32 played as four times as many frames of noise."""
    with pytest.raises(UserError, match=r"expected uint8 \(n, height, width, 3\)"):
        save_frames(frames, tmp_path / name)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (-2, -2), (2.0, 2.0), 4])
def test_a_grid_of_no_such_shape_is_refused(tmp_path, shape):
    with pytest.raises(UserError, match=r"expected (a whole number from 1 on|.columns, rows.)"):
        save_grid(numbered(4), tmp_path / "grid.png", shape)
    assert not [*tmp_path.iterdir()]
