"""The flags of `generate` that only a StyleGAN2 has."""

import keras
import numpy as np
import pytest
from PIL import Image

from facegen_keras.cli import main, stylegan2
from facegen_keras.cli.values import parse_mix, parse_psis
from facegen_keras.errors import UserError
from facegen_keras.export.write import save_generator
from facegen_keras.generate.loading import load_generator
from facegen_keras.models import FAMILIES


@pytest.fixture(scope="module")
def model_path(tmp_path_factory):
    keras.utils.set_random_seed(0)  # 60 steps come nearer to a photo with most weights, not all
    model = FAMILIES["stylegan2"](
        resolution=32, latent_dim=8, w_dim=8, mapping_layers=2, channel_base=128, channel_max=8
    )
    return save_generator(model, tmp_path_factory.mktemp("models") / "stylegan2_generator.h5")


def generate(model_path, folder, *flags):
    return main(["generate", "--model_path", str(model_path), "--output_dir", str(folder), *flags])


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.fixture
def table(faces_of):
    """`table(path, rows, columns)`: the faces of a picture with headings."""
    return lambda path, rows, columns: faces_of(pixels(path), rows, columns, 32)


def test_style_mix_writes_a_matrix_with_its_sources(table, model_path, tmp_path):
    words = ["rows=1,2", "cols=4,5,6", "layers=0-3"]
    assert generate(model_path, tmp_path, "--style_mix", *words) == 0
    assert table(tmp_path / "stylegan2_style_mix.png", 3, 4).std() > 1


def test_truncation_sweep_at_zero_is_one_face_for_all_seeds(table, model_path, tmp_path):
    flags = ("--truncation_sweep", "0,1", "--seeds", "3,4", "--noise_mode", "none")
    assert generate(model_path, tmp_path, *flags) == 0
    sheet = table(tmp_path / "stylegan2_truncation.png", 2, 2)
    assert np.array_equal(sheet[0, 0], sheet[1, 0])
    assert not np.array_equal(sheet[0, 1], sheet[1, 1])


@pytest.mark.parametrize("method", ["pca", "sefa"])
def test_directions_do_not_move_the_face_in_the_middle(table, model_path, tmp_path, method):
    flags = ("--directions", method, "--num_directions", "2")
    assert generate(model_path, tmp_path, *flags) == 0
    sheet = table(tmp_path / f"stylegan2_directions_{method}.png", 2, 7)
    assert np.array_equal(sheet[0, 3], sheet[1, 3])


def test_directions_start_from_the_face_that_is_asked_for(table, model_path, tmp_path, capsys):
    face = ("--seeds", "7", "--truncation_psi", "0.4", "--noise_mode", "none")
    assert generate(model_path, tmp_path, *face, "--grid", "none") == 0
    flags = ("--directions", "sefa", "--num_directions", "1")
    assert generate(model_path, tmp_path, *face, *flags) == 0
    sheet = table(tmp_path / "stylegan2_directions_sefa.png", 1, 7)
    alone = pixels(tmp_path / "stylegan2_seed0007.png")
    middle = sheet[0, 3].astype(int)
    assert np.abs(middle - alone).max() <= 1
    assert alone.std() > 1
    assert generate(model_path, tmp_path, *flags, "--interpolate", "1,2") == 2
    assert "interpolate: not together with directions" in capsys.readouterr().err
    assert generate(model_path, tmp_path, *flags, "--seeds", "1,2") == 2
    assert "seeds 1,2: directions moves one face; give one seed" in capsys.readouterr().err


def test_projection_comes_nearer_to_the_photo(table, model_path, tmp_path):
    assert generate(model_path, tmp_path, "--seeds", "5", "--grid", "none") == 0
    photo = tmp_path / "stylegan2_seed0005.png"
    flags = ("--project", str(photo), "--project_steps", "60")
    assert generate(model_path, tmp_path / "found", *flags) == 0
    sheet = table(tmp_path / "found/stylegan2_projection.png", 1, 3).astype("float64")
    target, start, found = sheet[0]
    assert np.square(found - target).mean() < np.square(start - target).mean()
    assert (tmp_path / "found/stylegan2_projection.mp4").stat().st_size > 0
    assert np.load(tmp_path / "found/stylegan2_projection.npz")["losses"].shape == (60,)
    first = (tmp_path / "found/stylegan2_projection.npz").read_bytes()
    again = ("--project", str(photo), "--project_steps", "2")
    assert generate(model_path, tmp_path / "found", *again) == 0
    assert (tmp_path / "found/stylegan2_projection.npz").read_bytes() == first
    assert np.load(tmp_path / "found/stylegan2_projection_2.npz")["losses"].shape == (2,)
    assert (tmp_path / "found/stylegan2_projection_2.png").exists()


def test_interpolation_walks_in_w(table, model_path, tmp_path):
    flags = ("--interpolate", "0,7", "--frames", "4", "--format", "png")
    assert generate(model_path, tmp_path, *flags) == 0
    assert len(np.unique(table(tmp_path / "stylegan2_interpolation.png", 1, 4)[0], axis=0)) == 4


@pytest.mark.parametrize(
    "words", [["rows=1"], ["rows=1", "cols=2", "layers=0", "rows=3"], ["row=1", "cols=2"]]
)
def test_a_wrong_mix_is_refused(words):
    with pytest.raises(UserError, match="expected rows="):
        parse_mix(words)


def test_a_wrong_truncation_is_refused():
    with pytest.raises(UserError, match="truncation_sweep '0,half'"):
        parse_psis("0,half")


def test_seeds_of_a_mix_are_refused_by_the_flag(model_path, tmp_path, capsys):
    words = ["rows=x", "cols=4", "layers=0"]
    assert generate(model_path, tmp_path, "--style_mix", *words) == 2
    assert "style_mix rows 'x': expected numbers" in capsys.readouterr().err


def test_layers_that_are_not_there_are_one_line(model_path, tmp_path, capsys):
    words = ["rows=1", "cols=4", "layers=0-99"]
    assert generate(model_path, tmp_path, "--style_mix", *words) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_training_starts_from_a_generator_and_grows(model_path, tmp_path, made_up, capsys):
    np.save(tmp_path / "faces.npy", made_up(16))
    small = "--resolution 32 --channel_base 128 --channel_max 8 --latent_dim 8 --w_dim 8"
    plain = "--mapping_layers 2 --r1_gamma 0 --path_weight 0 --style_mixing 0 --batch_size 8"
    flags = f"--model stylegan2 {small} {plain} --progressive 16:0.016 --epochs 2 --save_interval 1"
    places = ["--output_dir", str(tmp_path), "--saved_models_dir", str(tmp_path / "models")]
    start = ["--init_from", str(model_path), "--data_path", str(tmp_path / "faces.npy")]
    assert main(["train", *flags.split(), *start, "--name", "grown", *places]) == 0
    assert "newly initialised: none" in capsys.readouterr().out
    with Image.open(tmp_path / "grown/timelapse.gif") as film:  # of pictures of 16 and 32 pixels
        assert film.n_frames == 3
    grown = load_generator(tmp_path / "models/stylegan2_generator.h5")
    assert grown.resolution == 32
    record = grown.metadata["training"]  # goes out with the model: no path of this machine
    assert (record["init_from"], record["data_path"]) == (model_path.name, "faces.npy")


def test_where_nothing_can_be_written_nothing_is_searched(
    model_path, tmp_path, monkeypatch, capsys
):
    def searched(*_, **__):
        raise AssertionError("searched")

    monkeypatch.setattr(stylegan2, "project", searched)
    (tmp_path / "taken").touch()
    Image.new("RGB", (32, 32)).save(tmp_path / "photo.png")
    photo = ("--project", str(tmp_path / "photo.png"))
    assert generate(model_path, tmp_path / "taken/x", *photo) == 2
    assert f"error: output_dir {tmp_path / 'taken/x'}: " in capsys.readouterr().err
