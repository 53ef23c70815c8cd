"""Exports: what is written, what opens, and what is refused before anything in it is built."""

import json
import logging
import os

import h5py
import keras
import numpy as np
import pytest

from facegen_keras import export
from facegen_keras.earlier_exports import keep_existing
from facegen_keras.errors import UserError
from facegen_keras.export import publish, save_generator, update_metadata
from facegen_keras.loading import load_encoder, load_generator
from facegen_keras.model_file import read_model_file
from facegen_keras.parts import companion_path


def tiny_generator(latent_dim: int = 6, channels: int = 3) -> keras.Model:
    z = keras.Input((latent_dim,))
    x = keras.layers.Dense(4 * 4 * 8, use_bias=False)(z)
    x = keras.layers.Reshape((4, 4, 8))(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.LeakyReLU(0.2)(x)
    x = keras.layers.Conv2DTranspose(channels, 4, 2, "same", activation="tanh")(x)
    return keras.Model(z, x)


def tiny_encoder(latent_dim: int = 6) -> keras.Model:
    image = keras.Input((8, 8, 3))
    return keras.Model(
        image, keras.layers.Dense(2 * latent_dim)(keras.layers.Flatten()(image)), name="encoder"
    )


class TinyFamily:
    """The part of a family model that export looks at."""

    resolution, latent_dim, data_fingerprint = 8, 6, "f" * 64

    def __init__(self, family: str = "dcgan", images_seen: int = 1234) -> None:
        self.family, self.images_seen = family, images_seen
        self.main = tiny_generator()
        self.encoder = tiny_encoder()

    def export_parts(self) -> dict[str, keras.Model]:
        main = "decoder" if self.family == "vae" else "generator"
        encoder = {} if self.family == "dcgan" else {"encoder": self.encoder}
        return {main: self.main, **encoder}

    def get_config(self) -> dict:
        return {"latent_dim": np.int64(6), "betas": (0.5, 0.999)}


@pytest.fixture
def saved(tmp_path):
    model = TinyFamily()
    return model, save_generator(model, tmp_path / "dcgan_generator.h5", run="first")


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_round_trip_keeps_images_and_metadata(tmp_path, suffix):
    model = TinyFamily()
    path = save_generator(
        model, tmp_path / f"g{suffix}", run="r1", metrics=[{"name": "fd", "value": 30.5, "n": 2500}]
    )
    generator = load_generator(path)
    z = np.random.RandomState(0).randn(5, 6).astype("float32")
    expected = keras.ops.convert_to_numpy(model.main(z, training=False))
    np.testing.assert_allclose(generator(z), expected, atol=1e-6)
    assert (generator.family, generator.resolution, generator.latent_dim) == ("dcgan", 8, 6)
    metadata = generator.metadata
    assert metadata["images_seen"] == 1234 and metadata["data_fingerprint"] == "f" * 64
    assert metadata["config"] == {"latent_dim": 6, "betas": [0.5, 0.999]}
    assert metadata["metrics"] == [{"name": "fd", "value": 30.5, "n": 2500}]
    assert metadata["versions"]["keras"] == keras.version()
    assert {"licence", "created", "run", "part"} <= set(metadata)
    plain = keras.saving.load_model(path, compile=False)
    np.testing.assert_array_equal(plain.predict_on_batch(z), generator.model.predict_on_batch(z))
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_sampling_uses_the_moving_statistics(saved):
    model, path = saved
    norm = next(x for x in model.main.layers if isinstance(x, keras.layers.BatchNormalization))
    norm.moving_mean.assign(np.full(8, 0.7))
    save_generator(model, path)
    z = np.random.RandomState(1).randn(16, 6).astype("float32")
    images = load_generator(path)(z)
    np.testing.assert_allclose(images, model.main(z, training=False), atol=1e-6)
    assert np.abs(images - np.asarray(model.main(z, training=True))).max() > 0.05


def test_a_seed_is_one_face_in_any_company(saved):
    generator = load_generator(saved[1])
    many = generator.sample(range(40))
    assert many.dtype == np.uint8 and many.shape == (40, 8, 8, 3)
    np.testing.assert_array_equal(generator.sample([39, 3, 17]), many[[39, 3, 17]])
    np.testing.assert_array_equal(generator.sample([33])[0], many[33])
    z = np.random.RandomState(7).randn(6).astype("float32")
    np.testing.assert_array_equal(generator(z[None]), generator(np.stack([z, z]))[:1])
    face = np.clip(np.rint((generator(z[None]) + 1) * 127.5), 0, 255).astype("uint8")
    np.testing.assert_array_equal(generator.sample([7]), face)


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_file_opens_on_other_backends_with_the_same_faces(saved, run_python, backend):
    here = load_generator(saved[1]).sample(range(20))
    code = (
        "import sys, json, facegen_keras.loading as e\n"
        f"g = e.load_generator({str(saved[1])!r})\n"
        "many = g.sample(range(20))\n"
        "assert (g.sample([19, 2]) == many[[19, 2]]).all()\n"
        "print(json.dumps(many.tolist()))"
    )
    there = np.array(json.loads(run_python(code, backend=backend).splitlines()[-1]))
    assert np.abs(there - here.astype(int)).max() <= 1


@pytest.mark.parametrize("how", ["save", "publish"])
def test_no_generator_stands_beside_the_encoder_of_another(tmp_path, how):
    here = tmp_path / "saved_models"
    here.mkdir()
    path = save_generator(TinyFamily("combined"), here / "faces_generator.h5", run="older")
    foreign = here / "faces_discriminator.h5"
    foreign.write_bytes(b"somebody's own")
    alone = TinyFamily("combined")
    alone.export_parts = lambda: {"generator": alone.main}
    if how == "save":
        save_generator(alone, path, run="newer")
    else:
        publish(save_generator(alone, tmp_path / "faces_generator.h5", run="newer"), path)
    assert sorted(file.name for file in here.iterdir()) == [
        "faces_discriminator.h5",
        "faces_encoder.older.h5",
        "faces_generator.h5",
        "faces_generator.older.h5",
    ]
    assert foreign.read_bytes() == b"somebody's own"


def test_encoder_stands_beside_the_generator(tmp_path):
    assert companion_path("a/vae_decoder.h5", "vae", "encoder").name == "vae_encoder.h5"
    name = companion_path("a/ld64_generator.keras", "combined", "encoder").name
    assert name == "ld64_encoder.keras"
    assert companion_path("a/best.h5", "vae", "encoder").name == "vae_encoder.h5"
    name = companion_path("a/best.h5", "stylegan2", "discriminator").name
    assert name == "best_discriminator.h5"
    model = TinyFamily("vae")
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
    other = save_generator(TinyFamily("vae"), tmp_path / "other_decoder.h5")
    (tmp_path / "other_encoder.h5").replace(tmp_path / "vae_encoder.h5")
    with pytest.raises(UserError, match="exported from another model"):
        load_encoder(path)
    with pytest.raises(UserError, match="has no encoder"):
        load_encoder(other)


def test_existing_file_is_kept_under_its_runs_name(tmp_path):
    path = tmp_path / "dcgan_generator.h5"
    first = save_generator(TinyFamily(images_seen=1), path, run="monday").read_bytes()
    save_generator(TinyFamily(images_seen=2), path, run="tuesday")
    kept = tmp_path / "dcgan_generator.monday.h5"
    assert kept.read_bytes() == first
    assert load_generator(path).metadata["run"] == "tuesday"
    save_generator(TinyFamily(images_seen=3), path, run="tuesday")
    assert sorted(p.name for p in tmp_path.iterdir()) == [path.name, kept.name]
    assert load_generator(path).metadata["images_seen"] == 3
    assert keep_existing(path) == keep_existing(path) == tmp_path / "dcgan_generator.tuesday.h5"
    save_generator(TinyFamily(images_seen=4), path, run="monday")
    save_generator(TinyFamily(images_seen=5), path, run="wednesday")
    seen = {p.name: load_generator(p).metadata["images_seen"] for p in tmp_path.iterdir()}
    assert seen == {
        path.name: 5,
        kept.name: 1,
        "dcgan_generator.tuesday.h5": 3,
        "dcgan_generator.monday-2.h5": 4,
    }
    assert keep_existing(tmp_path / "absent.h5") is None


def test_failed_write_leaves_the_old_file(saved, monkeypatch):
    model, path = saved
    before = path.read_bytes()

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="No space left on device"):
        save_generator(model, path, run="first")
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_only_the_h5_advice_is_silenced(saved, caplog):
    model, path = saved
    with caplog.at_level(logging.WARNING, logger="absl"):
        save_generator(model, path)
        logging.getLogger("absl").warning("something else")
    assert [record.getMessage() for record in caplog.records] == ["something else"]


def test_metadata_can_be_added_later(saved):
    _, path = saved
    faces = load_generator(path).sample(range(2))
    update_metadata(path, metrics=[{"name": "kid", "value": np.float64(0.02)}])
    generator = load_generator(path)
    assert generator.metadata["metrics"] == [{"name": "kid", "value": 0.02}]
    assert generator.metadata["images_seen"] == 1234
    np.testing.assert_array_equal(generator.sample(range(2)), faces)


def test_plain_keras_file_is_a_generator_too(tmp_path):
    path = tmp_path / "foreign.h5"
    with export._without_h5_warning():
        tiny_generator().save(path)
    assert load_generator(path).family == "unknown"
    assert load_generator(path, expected_family="dcgan").family == "dcgan"
    assert load_generator(path).sample([5]).shape == (1, 8, 8, 3)


@keras.saving.register_keras_serializable(package="somebody_else")
class Foreign(keras.layers.Layer):
    built_from_file = 0

    def __init__(self, **kwargs) -> None:
        Foreign.built_from_file += 1
        super().__init__(**kwargs)

    def call(self, x):
        return x


def save_with(layer: keras.layers.Layer, path) -> None:
    z = keras.Input((6,))
    with export._without_h5_warning():
        keras.Model(z, tiny_generator()(layer(z))).save(path)


def rewrite_config(path, change) -> None:
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        change(config)
        file.attrs["model_config"] = json.dumps(config)


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_lambda_layer_is_refused_and_not_executed(tmp_path, monkeypatch, suffix):
    path, witness = tmp_path / f"evil{suffix}", tmp_path / "executed"

    monkeypatch.setenv("WITNESS", str(witness))
    attack = lambda x: (open(__import__("os").environ["WITNESS"], "w").close(), x)[1]  # noqa: E731
    save_with(keras.layers.Lambda(attack), path)
    witness.unlink()  # written while the model was made
    with pytest.raises(UserError, match="Lambda layer"):
        load_generator(path)
    assert not witness.exists()
    keras.saving.load_model(path, compile=False, safe_mode=False)
    assert witness.exists()  # it was a real one


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_class_of_another_package_is_refused_unbuilt(tmp_path, suffix):
    path = tmp_path / f"foreign{suffix}"
    save_with(Foreign(), path)
    Foreign.built_from_file = 0
    with pytest.raises(UserError, match="somebody_else>Foreign"):
        load_generator(path)
    assert Foreign.built_from_file == 0


def hide_in_initializer(config):
    dense = config["config"]["layers"][1]["config"]
    dense["kernel_initializer"] = {
        "module": "os",
        "class_name": "system",
        "config": {"command": "true"},
        "registered_name": None,
    }


def hide_a_function(config):
    dense = config["config"]["layers"][1]["config"]
    dense["activation"] = {
        "module": "builtins",
        "class_name": "function",
        "config": "exec",
        "registered_name": "exec",
    }


def hide_behind_a_registered_name(config):
    config["config"]["layers"][1].update(module="keras.layers", registered_name="evil>Dense")


def hide_in_a_wrapper(config):
    layer = config["config"]["layers"][4]
    inner = {"class_name": "Lambda", "config": {"function": ["aGk=", None, None]}}
    layer.update(class_name="TimeDistributed", config={"layer": inner})


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (hide_in_initializer, "'system'"),
        (hide_a_function, "'exec'"),
        (hide_behind_a_registered_name, "'evil>Dense'"),
        (hide_in_a_wrapper, "Lambda"),
        (lambda c: c.update(class_name="Nonsense"), "'Nonsense'"),
        (lambda c: c["config"]["layers"][1].update(class_name="Ghost"), "'Ghost'"),
    ],
)
def test_anything_but_layers_is_refused_by_name(saved, monkeypatch, change, named):
    def never(*args, **kwargs):
        raise AssertionError("the file reached Keras")

    rewrite_config(saved[1], change)
    monkeypatch.setattr(keras.saving, "load_model", never)
    with pytest.raises(UserError, match="refused") as refusal:
        load_generator(saved[1])
    assert named in str(refusal.value) and "\n" not in str(refusal.value)


def test_damaged_and_foreign_files_are_told_apart(saved, tmp_path):
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
        assert reason in message and name in message and "\n" not in message
    with pytest.raises(UserError, match="a folder"):
        load_generator(tmp_path)


def test_weights_that_do_not_fit_are_one_line(saved):
    with h5py.File(saved[1], "r+") as file:
        group = file["model_weights"]
        names = [name for name in group if len(group[name])]
        del group[names[0]]
    with pytest.raises(UserError, match="Keras cannot open it") as refusal:
        load_generator(saved[1])
    assert "\n" not in str(refusal.value)


def test_wrong_family_is_refused(saved):
    with pytest.raises(UserError, match="holds a dcgan model, not vae"):
        load_generator(saved[1], expected_family="vae")


def test_wrong_input_to_a_generator(saved):
    generator = load_generator(saved[1])
    with pytest.raises(UserError, match=r"expected \(n, 6\)"):
        generator(np.zeros((2, 7)))
    with pytest.raises(UserError, match="truncation_psi"):
        generator.sample([0], truncation_psi=0.5)
    for seeds in ([-1], [2**32], [0.5], []):
        with pytest.raises(UserError, match="seed"):
            generator.sample(seeds)


def test_only_h5_and_keras_are_written(tmp_path):
    with pytest.raises(UserError, match=r"\.h5 or \.keras"):
        save_generator(TinyFamily(), tmp_path / "g.pt")
    assert not os.listdir(tmp_path)


def test_reading_builds_nothing(saved):
    file = read_model_file(saved[1])
    assert file.metadata["family"] == "dcgan" and file.config["class_name"] == "Functional"
