"""What comes with the package: the sample, the pretrained models, and the README's first lines."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from facegen_keras import export_model, load_faces, load_generator
from facegen_keras.cli import main
from facegen_keras.engine.guards import pairwise_distance
from facegen_keras.inference import latents, to_uint8

ROOT = Path(__file__).resolve().parent.parent
# "my_" is what the notebooks put before the models they train.
MODELS = [p for p in sorted((ROOT / "saved_models").glob("*.h5")) if not p.stem.startswith("my_")]
GENERATORS = [p for p in MODELS if not p.stem.endswith(("_encoder", "_discriminator"))]
LARGEST = 40 * 2**20


def test_there_is_something_to_ship():
    assert GENERATORS


@pytest.mark.parametrize("path", GENERATORS, ids=lambda path: path.stem)
def test_a_shipped_generator_draws_different_faces_and_says_where_it_is_from(path):
    generator = load_generator(path)
    faces = generator.sample(range(16))
    assert faces.shape == (16, generator.resolution, generator.resolution, 3)
    assert pairwise_distance(faces) > 25  # grey levels; photos of CelebA have about 80
    assert generator.metadata["images_seen"] >= 200_000
    assert "CelebA" in generator.metadata["licence"]
    assert (path.with_suffix(".md")).is_file(), "a model without its card"
    assert path.stat().st_size < LARGEST


@pytest.mark.parametrize("format", ["onnx", "litert", "tf_saved_model"])
@pytest.mark.parametrize("path", GENERATORS, ids=lambda path: path.stem)
def test_an_exported_generator_draws_the_same_faces(path, format, run_exported, tmp_path):
    generator = load_generator(path)
    inputs = {"latent": latents(range(10), generator.latent_dim)}
    if generator.family == "stylegan2":
        inputs["truncation_psi"] = np.array(1, "float32")
    (file,) = export_model(path, tmp_path, format)
    images = to_uint8(run_exported(file, **inputs)["images"]).astype(int)
    assert np.abs(images - generator.sample(range(10))).max() <= 1  # grey level


def test_the_sample_is_what_its_readme_says(tmp_path):
    faces = load_faces(ROOT / "dataset/sample_faces.zip", cache_dir=tmp_path, progress=False)
    assert len(faces) == 2000
    assert not faces.report.skipped
    generator = load_generator(ROOT / "saved_models/stylegan2_generator.h5")
    drawn = generator.sample([10_000, 11_999]).astype("float64")
    apart = np.abs(faces[[0, 1999]] - drawn).mean(axis=(1, 2, 3))
    assert apart.max() < 6  # the same faces, but for JPEG


def test_the_readme_commands_run_on_the_bundled_files(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    out = ["--output_dir", str(tmp_path / "output")]
    model = "./saved_models/dcgan_generator.h5"
    flags = ["--model", "dcgan", "--model_path", model, "--num_images", "10"]
    assert main(["generate", *flags, *out]) == 0
    assert len(list((tmp_path / "output").glob("dcgan_seed00*.png"))) == 10
    small = ["--epochs", "1", "--batch_size", "32", "--limit", "64", "--base_channels", "4"]
    places = ["--saved_models_dir", str(tmp_path), "--cache_dir", str(tmp_path / "cache")]
    flags = ["--model", "dcgan", "--data_path", "./dataset", "--name", "first"]
    assert main(["train", *flags, *small, *places, *out]) == 0
    assert load_generator(tmp_path / "dcgan_generator.h5").family == "dcgan"


def test_the_two_requirement_lists_agree():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    listed = (ROOT / "requirements.txt").read_text().splitlines()
    assert set(project["dependencies"]) <= set(listed)


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda p: p.stem)
def test_a_configuration_opens_with_a_comment_and_names_its_family(path):
    text = path.read_text(encoding="utf-8")
    assert text.startswith("#")
    assert yaml.safe_load(text)["model"] in ("vae", "dcgan", "combined", "stylegan2")
