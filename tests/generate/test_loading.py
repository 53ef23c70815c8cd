"""What opens as a generator or an encoder, on which backends, and why another file does not."""

import json

import h5py
import numpy as np
import pytest

from facegen_keras.errors import UserError
from facegen_keras.export import write as export
from facegen_keras.export.parts import companion_path
from facegen_keras.export.write import save_generator
from facegen_keras.files.h5_file import seal
from facegen_keras.generate.loading import load_encoder, load_generator


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_file_opens_on_other_backends_with_the_same_faces(saved, on_backend, backend):
    here = load_generator(saved[1]).sample(range(20))
    code = (
        "import sys, json, facegen_keras.generate.loading as e\n"
        f"g = e.load_generator({str(saved[1])!r})\n"
        "many = g.sample(range(20))\n"
        "assert (g.sample([19, 2]) == many[[19, 2]]).all()\n"
        "print(json.dumps(many.tolist()))"
    )
    there = np.array(json.loads(on_backend(code, backend).splitlines()[-1]))
    assert np.abs(there - here.astype(int)).max() <= 1


def test_encoder_stands_beside_the_generator(tmp_path, tiny_family):
    assert companion_path("a/vae_decoder.h5", "vae", "encoder").name == "vae_encoder.h5"
    name = companion_path("a/ld64_generator.keras", "combined", "encoder").name
    assert name == "ld64_encoder.keras"
    assert companion_path("a/best.h5", "vae", "encoder").name == "vae_encoder.h5"
    name = companion_path("a/best.h5", "stylegan2", "discriminator").name
    assert name == "best_discriminator.h5"
    model = tiny_family("vae")
    path = save_generator(model, tmp_path / "vae_decoder.h5")
    photos = np.random.RandomState(0).rand(2, 8, 8, 3).astype("float32")
    for source in (path, tmp_path / "vae_encoder.h5"):
        np.testing.assert_allclose(
            load_encoder(source).predict_on_batch(photos),
            model.encoder.predict_on_batch(photos),
            atol=1e-6,
        )
    with pytest.raises(UserError, match="not a generator"):
        load_generator(tmp_path / "vae_encoder.h5")
    other = save_generator(tiny_family("vae"), tmp_path / "other_decoder.h5")
    (tmp_path / "other_encoder.h5").replace(tmp_path / "vae_encoder.h5")
    with pytest.raises(UserError, match="exported from another model"):
        load_encoder(path)
    with pytest.raises(UserError, match="has no encoder"):
        load_encoder(other)


def test_plain_keras_file_is_a_generator_too(tmp_path, tiny_generator):
    path = tmp_path / "foreign.h5"
    with export._without_h5_warning():
        tiny_generator().save(path)
    assert load_generator(path).family == "unknown"
    assert load_generator(path, expected_family="dcgan").family == "dcgan"
    assert load_generator(path).sample([5]).shape == (1, 8, 8, 3)


def test_damaged_and_foreign_files_are_told_apart(saved, tmp_path, tiny_generator, tiny_encoder):
    data = saved[1].read_bytes()
    (tmp_path / "cut.h5").write_bytes(data[: len(data) // 2])
    (tmp_path / "text.h5").write_text("not a model")
    (tmp_path / "empty.h5").write_bytes(b"")
    (tmp_path / "text.keras").write_text("not a model")
    (tmp_path / "photo.png").write_bytes(b"x")
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        file["kernel"] = np.zeros(3)
    with export._without_h5_warning():
        tiny_encoder().save(tmp_path / "discriminator.h5")
        tiny_generator(channels=1).save(tmp_path / "grey.h5")
    expected = {
        "absent.h5": "no such file",
        "cut.h5": "truncated",
        "text.h5": "not an HDF5 file",
        "empty.h5": "not an HDF5 file",
        "text.keras": "not a readable .keras archive",
        "photo.png": "expected .h5 or .keras",
        "weights.h5": "without a Keras model",
        "discriminator.h5": "not a generator",
        "grey.h5": "not RGB images",
    }
    for name, reason in expected.items():
        with pytest.raises(UserError) as refusal:
            load_generator(tmp_path / name)
        message = str(refusal.value)
        assert reason in message
        assert name in message
        assert "\n" not in message
    with pytest.raises(UserError, match="a folder"):
        load_generator(tmp_path)


def test_weights_that_do_not_fit_are_one_line(saved):
    with h5py.File(saved[1], "r+") as file:
        group = file["model_weights"]
        names = [name for name in group if len(group[name])]
        del group[names[0]]
        seal(file)
    with pytest.raises(UserError, match="Keras cannot open it") as refusal:
        load_generator(saved[1])
    assert "\n" not in str(refusal.value)


def test_wrong_family_is_refused(saved):
    with pytest.raises(UserError, match="holds a dcgan model, not vae"):
        load_generator(saved[1], expected_family="vae")


@pytest.mark.parametrize("prior", ["Normal", "none", "", False])
def test_a_prior_that_there_is_not_is_refused_and_not_taken_for_the_files_own(saved, prior):
    with pytest.raises(UserError, match=rf"prior {prior!r}: expected normal or mixture"):
        load_generator(saved[1], prior=prior)
