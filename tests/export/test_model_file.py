"""What is refused before anything in the file is built."""

import json

import h5py
import keras
import pytest

from facegen_keras.errors import UserError
from facegen_keras.export import write as export
from facegen_keras.export.model_file import read_model_file
from facegen_keras.generate.loading import load_generator


@keras.saving.register_keras_serializable(package="somebody_else")
class Foreign(keras.layers.Layer):
    built_from_file = 0

    def __init__(self, **kwargs) -> None:
        Foreign.built_from_file += 1
        super().__init__(**kwargs)

    def call(self, x):
        return x


@pytest.fixture
def save_with(tiny_generator):
    """`save_with(layer, path)`: a file of a generator that has this layer too."""

    def save(layer, path):
        z = keras.Input((6,))
        with export._without_h5_warning():
            keras.Model(z, tiny_generator()(layer(z))).save(path)

    return save


def rewrite_config(path, change) -> None:
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        change(config)
        file.attrs["model_config"] = json.dumps(config)


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_lambda_layer_is_refused_and_not_executed(tmp_path, monkeypatch, suffix, save_with):
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
def test_class_of_another_package_is_refused_unbuilt(tmp_path, suffix, save_with):
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
    assert named in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_reading_builds_nothing(saved):
    file = read_model_file(saved[1])
    assert file.metadata["family"] == "dcgan"
    assert file.config["class_name"] == "Functional"
