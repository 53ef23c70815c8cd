"""The generate command from its flags to its files."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

import facegen_keras as fg
from facegen_keras.cli import main
from facegen_keras.cli.generate import GenerateConfig
from facegen_keras.mixture import fit_mixture
from facegen_keras.pictures import tile

ROOT = Path(__file__).resolve().parents[2]


class TinyVAE:
    family, resolution, latent_dim, images_seen, data_fingerprint = "vae", 8, 4, 10, None
    main_part = "decoder"

    def export_parts(self) -> dict[str, keras.Model]:
        z, image = keras.Input((4,)), keras.Input((8, 8, 3))
        x = keras.layers.Dense(8 * 8 * 3, activation="tanh")(z)
        decoder = keras.Model(z, keras.layers.Reshape((8, 8, 3))(x))
        encoder = keras.Model(image, keras.layers.Dense(8)(keras.layers.Flatten()(image)))
        return {"decoder": decoder, "encoder": encoder}

    def get_config(self) -> dict:
        return {}


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    keras.utils.set_random_seed(0)
    fg.save_generator(TinyVAE(), folder / "vae_decoder.h5")
    return folder


@pytest.fixture
def generate(models, tmp_path):
    def call(*flags: str) -> tuple[int, Path]:
        folders = ["--saved_models_dir", str(models), "--output_dir", str(tmp_path / "out")]
        return main(["generate", *flags, *folders]), tmp_path / "out"

    return call


def picture(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


@pytest.fixture
def table(faces_of):
    """`table(path, rows, columns)`: the faces of a picture with headings."""
    return lambda path, rows, columns: faces_of(picture(path), rows, columns, 8)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_faces_and_grid(generate, models, capsys):
    code, out = generate("--model", "vae", "--num_images", "3", "--seed", "5")
    assert code == 0
    assert names(out) == ["grid.png", *(f"vae_seed000{seed}.png" for seed in (5, 6, 7))]
    faces = fg.load_generator(models / "vae_decoder.h5").sample([5, 6, 7])
    np.testing.assert_array_equal(picture(out / "vae_seed0006.png"), faces[1])
    np.testing.assert_array_equal(picture(out / "grid.png"), tile(faces))
    assert "3 faces" in capsys.readouterr().out


def test_seeds_and_grid_shape(generate, models):
    code, out = generate("--model_path", str(models / "vae_decoder.h5"), "--seeds=0-3,100",
                         "--grid", "2x2")  # fmt: skip
    assert code == 0
    assert "vae_seed0100.png" in names(out)
    assert len(names(out)) == 6
    faces = fg.load_generator(models / "vae_decoder.h5").sample([0, 1, 2, 3])
    np.testing.assert_array_equal(picture(out / "grid.png"), tile(faces, (2, 2)))
    code, out = generate("--model", "vae", "--seeds", "9", "--grid", "none")
    assert code == 0
    assert "vae_seed0009.png" in names(out)


def test_another_grid_does_not_overwrite_the_last_one(generate, capsys):
    def grid(*flags: str) -> tuple[str, list[str]]:
        code, out = generate("--model", "vae", *flags)
        assert code == 0
        said = capsys.readouterr().out.splitlines()[-1].rpartition("grid: ")[2]
        return Path(said).name, [name for name in names(out) if name.startswith("grid")]

    assert grid("--seeds", "1-4") == ("grid.png", ["grid.png"])
    assert grid("--seeds", "5-8") == ("grid_2.png", ["grid.png", "grid_2.png"])
    assert grid("--seeds", "1-4") == ("grid.png", ["grid.png", "grid_2.png"])


def test_a_decoder_is_found_under_the_name_generator_and_the_other_way_round(
    generate, models, tmp_path, capsys
):
    asked, there = models / "vae_generator.h5", models / "vae_decoder.h5"
    code, out = generate("--model", "vae", "--model_path", str(asked), "--num_images", "1")
    assert code == 0
    assert "vae_seed0000.png" in names(out)
    assert f"{asked}: no such file; opening {there}" in capsys.readouterr().out
    (tmp_path / "x_generator.h5").write_bytes(there.read_bytes())
    code, _ = generate("--model_path", str(tmp_path / "x_decoder.h5"), "--num_images", "1")
    assert code == 0
    assert "opening" in capsys.readouterr().out
    assert generate("--model_path", str(models / "dcgan_generator.h5"))[0] == 2


def test_a_fitted_prior_and_how_to_leave_it_out(generate, tmp_path, capsys):
    model = TinyVAE()
    codes = 2 + 3 * np.random.default_rng(0).standard_normal((40, model.latent_dim))
    prior = fit_mixture(codes, 2)
    model.latent_prior = lambda: prior
    path = str(fg.save_generator(model, tmp_path / "vae_decoder.h5"))
    expected = {None: fg.load_generator(path), "normal": fg.load_generator(path, prior="normal")}
    faces = {kind: generator.sample([4])[0] for kind, generator in expected.items()}
    assert (faces[None] != faces["normal"]).any()
    for kind, face in faces.items():
        flags = ["--prior", kind] if kind else []
        code, out = generate("--model_path", path, "--seeds", "4", "--grid", "none", *flags)
        assert code == 0
        np.testing.assert_array_equal(picture(out / "vae_seed0004.png"), face)
    assert generate("--model", "vae", "--prior", "mixture")[0] == 2
    assert "its prior is normal; resume its training with prior" in capsys.readouterr().err
    dcgan = str(Path(fg.__file__).parents[1] / "saved_models" / "dcgan_generator.h5")
    assert generate("--model_path", dcgan, "--prior", "mixture")[0] == 2
    assert "holds no mixture, its prior is normal; a dcgan has no other" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["gif", "mp4", "png"])
def test_interpolation(table, generate, models, kind):
    flags = ("--model", "vae", "--interpolate", "0,7,12", "--frames", "6", "--format", kind)
    code, out = generate(*flags)
    assert code == 0
    assert names(out) == [f"vae_interpolation.{kind}"]
    if kind == "png":  # a strip goes from the first seed to the last
        (strip,) = table(out / "vae_interpolation.png", 1, 6)
        ends = fg.load_generator(models / "vae_decoder.h5").sample([0, 12])
        np.testing.assert_array_equal(strip[[0, -1]], ends)


def test_reconstruction_of_a_folder_and_of_one_photo(
    table, generate, models, tmp_path, monkeypatch
):
    monkeypatch.setenv("FACEGEN_CACHE", str(tmp_path / "cache"))
    photos = np.random.RandomState(0).randint(0, 256, (3, 8, 8, 3)).astype("uint8")
    (tmp_path / "photos").mkdir()
    for index, photo in enumerate(photos):
        Image.fromarray(photo).save(tmp_path / "photos" / f"{index}.png")
    code, out = generate("--model", "vae", "--reconstruct", str(tmp_path / "photos" / "1.png"))
    assert code == 0
    assert names(out) == ["vae_reconstruction.png"]
    (pair,) = table(out / "vae_reconstruction.png", 1, 2)
    np.testing.assert_array_equal(pair[0], photos[1])
    folder = ("--model", "vae", "--reconstruct", str(tmp_path / "photos"))
    code, out = generate(*folder, "--grid", "1x3", "--interpolate", "photos", "--frames", "3",
                         "--format", "png")  # fmt: skip
    assert code == 0
    pairs = table(out / "vae_reconstruction_2.png", 3, 2)
    np.testing.assert_array_equal(pairs[:, 0], photos)
    np.testing.assert_array_equal(pairs[1, 1], pair[1])
    # The walk through the photos starts at the reconstruction of the first.
    (walk,) = table(out / "vae_interpolation.png", 1, 3)
    np.testing.assert_array_equal(walk[0], pairs[0, 1])


def test_a_folder_of_more_photos_is_told_and_a_grid_of_none_is_none(
    table, generate, tmp_path, capsys
):
    np.save(tmp_path / "photos.npy", np.random.RandomState(0).randint(0, 256, (20, 8, 8, 3), "u1"))
    photos = ("--model", "vae", "--reconstruct", str(tmp_path / "photos.npy"))
    code, out = generate(*photos)
    told = capsys.readouterr().out
    assert code == 0
    assert "photos.npy: 16 of 20 photos (num_images for more)" in told
    assert generate(*photos, "--num_images", "20")[0] == 0
    assert " of 20 photos" not in capsys.readouterr().out
    assert (table(out / "vae_reconstruction_2.png", 4, 10) < 255).any((2, 3, 4)).all()
    for earlier in out.iterdir():
        earlier.unlink()
    walk = ("--interpolate", "photos", "--num_images", "3", "--grid", "none")
    assert generate(*photos, *walk)[0] == 0
    assert names(out) == ["vae_interpolation.gif"]


def test_photos_are_cropped_as_in_the_training_unless_a_crop_is_given(table, tmp_path, capsys):
    model = TinyVAE()
    model.training_config = {"crop": "8,0,16,8"}
    path = fg.save_generator(model, tmp_path / "vae_decoder.h5")
    photo = np.random.RandomState(0).randint(0, 256, (8, 16, 3)).astype("uint8")
    Image.fromarray(photo).save(tmp_path / "photo.png")
    flags = ["generate", "--model_path", str(path), "--output_dir", str(tmp_path / "out")]
    flags += ["--reconstruct", str(tmp_path / "photo.png")]
    assert main(flags) == 0
    assert "cropped as in the training: 8,0,16,8" in capsys.readouterr().out
    (pair,) = table(tmp_path / "out/vae_reconstruction.png", 1, 2)
    np.testing.assert_array_equal(pair[0], photo[:, 8:])
    assert main([*flags, "--crop", "0,0,8,8"]) == 0
    assert "cropped as" not in capsys.readouterr().out
    (pair,) = table(tmp_path / "out/vae_reconstruction_2.png", 1, 2)
    np.testing.assert_array_equal(pair[0], photo[:, :8])


def test_as_many_faces_as_the_grid_has_places_else_16():
    def count(**given) -> int:
        return len(GenerateConfig("vae", **given).seed_list())

    assert count() == count(grid="none") == 16
    assert count(grid="6x5") == 30
    assert count(grid="6x5", num_images=7) == count(grid="6x5", seeds="0-6") == 7


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--model", "vae", "--num_images", "0"], "num_images 0: expected 1 or more"),
        (["--model", "vea"], "--model vea: expected one of vae, dcgan, combined, stylegan2"),
        (["--modle", "vae"], "--modle: unknown flag; did you mean --model?"),
        ([], "model: say which family"),
        (["--model", "dcgan"], "dcgan_generator.h5 nor"),
        (["--model", "dcgan", "--model_path", "VAE"], "holds a vae model, not dcgan"),
        (["--model_path", "absent.h5"], "absent.h5: no such file"),
        (["--model", "vae", "--seeds", "5-2"], "seeds '5-2'"),
        (["--model", "vae", "--seeds", ""], "seeds: empty"),
        (["--model", "vae", "--reconstruct="], "reconstruct: empty"),
        (["--model", "vae", "--seeds", "0-5", "--num_images", "3"], "num_images and seeds: both"),
        (["--model", "vae", "--num_images", "2000000"], "num_images 2000000: expected at most"),
        (["--model", "vae", "--seed", "-1"], "seed -1: expected 0 to 4294967280"),
        (["--model", "vae", "--seed", "4294967295"], "seed 4294967295: expected 0 to"),
        (["--model", "vae", "--interpolate", "x"], "interpolate 'x': expected numbers"),
        (["--model", "vae", "--crop", "big"], "crop 'big': must be none, center"),
        (["--model", "vae", "--grid", "99999x99999"], "grid '99999x99999': expected at most"),
        (["--model", "vae", "--grid", "999x999", "--seeds", "1"], "998,001 places for 1 images"),
        (["--model", "vae", "--grid", "6"], "grid '6'"),
        (["--model", "vae", "--interpolate", "0"], "interpolate 0: expected from 2 seeds"),
        (["--model", "vae", "--interpolate", "0,1,2", "--frames", "2"], "as many as frames (2)"),
        (["--model", "vae", "--interpolate", "photos"], "give reconstruct the photos"),
        (["--model", "vae", "--format", "avi"], "expected one of gif, mp4, png"),
        (["--model", "vae", "--truncation_psi", "0.5"], "not an option of a vae generator"),
        (["--model", "vae", "--reconstruct", "absent"], "absent"),
        (["--model", "vae", "--seeds", "1", "--seed", "0"], "seed and seeds: both"),
        (
            ["--model", "vae", "--reconstruct", "x", "--seeds", "1"],
            "seeds: not used by reconstruct",
        ),
        (["--model", "vae", "--reconstruct", "x", "--seed", "0"], "seed: not used by reconstruct"),
        (["--model", "vae", "--reconstruct", "x", "--truncation_psi", "1"], "truncation_psi: not"),
        (["--model", "vae", "--reconstruct", "x", "--grid", "none"], "grid none: reconstruct"),
        (
            ["--model", "vae", "--reconstruct", "x", "--grid", "2x1", "--num_images", "3"],
            "num_images 3: more than grid 2x1",
        ),
        (
            ["--model", "vae", "--interpolate", "0,7", "--num_images", "2", "--grid", "2x1"],
            "num_images, grid: not used by interpolate; leave them out",
        ),
        (["--model", "vae", "--interpolate", "0,7", "--seeds", "1"], "seeds: not used by interp"),
        (["--model", "vae", "--interpolate", "0,7", "--crop", "none"], "crop: not used by interp"),
        (["--model", "vae", "--format", "gif"], "format: only used by interpolate; leave it out"),
        (["--model", "vae", "--frames", "48"], "frames: only used by interpolate"),
        (["--model", "vae", "--crop", "none"], "crop: only used by reconstruct or project"),
        (["--model", "vae", "--project_steps", "9"], "project_steps: only used by project"),
        (["--model", "stylegan2", "--style_mix", "rows=1", "--frames", "3"], "frames: not used by"),
        (
            ["--model", "stylegan2", "--truncation_sweep", "0", "--truncation_psi", "1"],
            "truncation_psi: not used by truncation_sweep",
        ),
        (
            ["--model", "stylegan2", "--directions", "pca", "--num_images", "2"],
            "num_images: not used by directions",
        ),
    ],
)
def test_mistakes_are_one_line_and_write_nothing(generate, models, capsys, flags, message):
    code, out = generate(*(str(models / "vae_decoder.h5") if f == "VAE" else f for f in flags))
    error = capsys.readouterr().err
    assert code == 2
    assert names(out) == []
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1


def test_a_file_in_the_place_of_a_folder_is_one_line(models, tmp_path, capsys):
    (tmp_path / "out").write_text("")
    flags = ["--model_path", str(models / "vae_decoder.h5"), "--output_dir", str(tmp_path / "out")]
    assert main(["generate", *flags, "--num_images", "1"]) == 2
    assert capsys.readouterr().err == (
        f"error: output_dir {tmp_path / 'out'}: Not a directory; give a folder that can be "
        "written to\n"
    )


def test_script_and_module_in_a_fresh_process(models, tmp_path, unmeasured):
    flags = ["--model", "vae", "--saved_models_dir", str(models), "--output_dir", str(tmp_path)]
    for program in (["generate.py"], ["-m", "facegen_keras.cli", "generate"]):
        command = [sys.executable, *program, *flags, "--num_images"]
        good = subprocess.run(
            [*command, "1"], cwd=ROOT, capture_output=True, text=True, env=unmeasured()
        )
        assert good.returncode == 0, good.stderr
        assert "1 faces" in good.stdout
    environment = {k: v for k, v in unmeasured().items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    bad = subprocess.run([*command, "0"], cwd=ROOT, capture_output=True, text=True, env=environment)
    assert bad.returncode == 2
    assert bad.stderr == "error: num_images 0: expected 1 or more\n"
