"""What is refused before anything in the file is built."""

import json
import os
import resource
import zipfile
from concurrent.futures import ThreadPoolExecutor

import h5py
import keras
import numpy as np
import pytest

from facegen_keras.cli import main
from facegen_keras.errors import UserError
from facegen_keras.export import read
from facegen_keras.export import write as export
from facegen_keras.export.model_file import read_model_file
from facegen_keras.files import h5_file
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


def flip_a_bit_of_the_weights(path) -> None:
    with h5py.File(path, "r") as file:
        found = []
        file["model_weights"].visititems(
            lambda _, item: found.append(item) if isinstance(item, h5py.Dataset) else None
        )
        place = found[-1].id.get_offset() + 1
    data = bytearray(path.read_bytes())
    data[place] ^= 16
    path.write_bytes(data)


def test_a_flipped_bit_in_an_export_is_refused_in_one_line(saved, capsys):
    path = saved[1]
    before = load_generator(path).sample([0])
    flip_a_bit_of_the_weights(path)
    with pytest.raises(UserError, match="its content is not what was exported") as refusal:
        load_generator(path)
    assert "--force" in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert load_generator(path, force=True).sample([0]).shape == before.shape
    assert "warning: " in capsys.readouterr().err


def test_a_flipped_bit_in_a_keras_archive_is_refused(tmp_path, tiny_family):
    path = export.save_generator(tiny_family(), tmp_path / "dcgan_generator.keras")
    load_generator(path)
    with zipfile.ZipFile(path) as archive:
        member = archive.getinfo("model.weights.h5")
    data = bytearray(path.read_bytes())
    data[member.header_offset + member.file_size - 100] ^= 16
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"not what was exported|not a readable"):
        load_generator(path)


def test_exports_of_before_the_checksum_still_open(saved):
    with h5py.File(saved[1], "r+") as file:
        del file.attrs[h5_file.CHECKSUM]
    flip_a_bit_of_the_weights(saved[1])
    load_generator(saved[1])


def test_changes_of_our_own_are_sealed_again(saved):
    export.update_metadata(saved[1], metrics=[{"name": "FD", "value": 1.0}])
    assert load_generator(saved[1]).metadata["metrics"]
    flip_a_bit_of_the_weights(saved[1])
    with pytest.raises(UserError, match="not what was exported"):  # never made good again
        export.update_metadata(saved[1], metrics=[])


def test_weights_that_are_no_numbers_are_refused(tmp_path, tiny_family, capsys):
    model = tiny_family()
    kernel = model.main.weights[0]
    kernel.assign(np.full(kernel.shape, np.nan))
    path = export.save_generator(model, tmp_path / "dcgan_generator.h5")
    with pytest.raises(UserError, match="1 of its weights are not finite numbers"):
        load_generator(path)
    flags = ["generate", "--model_path", str(path), "--num_images", "1", "--output_dir"]
    assert main([*flags, str(tmp_path / "a")]) == 2
    assert not (tmp_path / "a").exists()
    assert main([*flags, str(tmp_path / "b"), "--force"]) == 0
    assert "not finite" in capsys.readouterr().err


def test_arrays_that_would_fill_the_memory_are_refused_unread(tmp_path):
    huge, bomb, link = (tmp_path / f"{name}.h5" for name in ("huge", "bomb", "link"))
    for path in (huge, bomb, link):
        with h5py.File(path, "w") as file:
            file.attrs["model_config"] = json.dumps({"class_name": "Functional", "config": {}})
            group = file.create_group("model_weights")
            if path == huge:  # HDF5 takes no space for what is never written
                group.create_dataset("w", shape=(2**40,), dtype="f4", chunks=(2**20,))
            elif path == bomb:
                group.create_dataset("w", data=np.zeros(20_000_000, "f4"), compression="gzip")
            else:
                group["w"] = h5py.ExternalLink("bomb.h5", "/model_weights/w")
    assert bomb.stat().st_size < 2**20
    for path in (huge, bomb):
        with pytest.raises(UserError, match="its arrays are larger than"):
            read_model_file(path)
    with pytest.raises(UserError, match="a link to elsewhere"):
        read_model_file(link)


def test_a_keras_archive_that_unpacks_to_anything_is_refused_unread(tmp_path, saved):
    for name in ("config.json", "model.weights.h5"):
        path = tmp_path / "bomb.keras"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for member in {"config.json", "model.weights.h5"}:
                content = b" " * 10**8 if member == name else b"{}"
                archive.writestr(member, content)
        with pytest.raises(UserError, match=r"not a readable \.keras"):
            read_model_file(path)


def test_a_fifo_is_no_model_and_hangs_nobody(tmp_path):
    os.mkfifo(tmp_path / "fifo.h5")
    with pytest.raises(UserError, match="not a model file"):
        read_model_file(tmp_path / "fifo.h5")


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_layers_with_more_weights_than_the_file_are_refused(suffix, tmp_path, tiny_family):
    """A stranger's file has no checksum, and a number in its configuration is soon written."""
    path = export.save_generator(tiny_family(), tmp_path / f"dcgan_generator{suffix}")

    def enlarged(text):
        config = json.loads(text)
        dense = next(x for x in config["config"]["layers"] if x["class_name"] == "Dense")
        dense["config"]["units"] = 128 * 10**6  # three gigabytes
        return json.dumps(config)

    if suffix == ".h5":
        with h5py.File(path, "r+") as file:
            file.attrs["model_config"] = enlarged(file.attrs["model_config"])
            del file.attrs[h5_file.CHECKSUM]
            h5_file.seal(file)
            del file.attrs[h5_file.CHECKSUM]
    else:
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        members["config.json"] = enlarged(members["config.json"]).encode()
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UserError, match=r"more weights than the [\d,]+ numbers of the file"):
        load_generator(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # kilobytes


def test_what_the_system_refuses_is_not_called_damaged(saved, monkeypatch):
    _, path = saved

    def locked(*args, **kwargs):
        raise BlockingIOError(11, "Unable to synchronously open file (unable to lock file)")

    monkeypatch.setattr(h5py, "File", locked)
    with pytest.raises(UserError, match="another program is writing it; close that first"):
        read_model_file(path)

    def failing(*args, **kwargs):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(h5py, "File", failing)
    with pytest.raises(UserError, match=r"cannot be read \(Input/output error\)"):
        read_model_file(path)


def test_two_models_opened_at_once_do_not_count_each_others_weights():
    make = keras.layers.Layer.add_weight
    first = read._with_no_more_weights(10)
    first.__enter__()

    def build():
        keras.layers.Dense(100).build((None, 100))

    with ThreadPoolExecutor(1) as elsewhere:
        elsewhere.submit(build).result()  # of another thread: not counted
    with pytest.raises(ValueError, match="more weights than the 10 numbers"):
        build()
    first.__exit__(None, None, None)
    assert keras.layers.Layer.add_weight is make


@pytest.mark.parametrize(
    "entry",
    [{"family": "../x"}, {"family": "/x"}, {"family": ["x"]}, {"family": 7}, {"training": "x"}],
)
def test_metadata_that_would_lead_elsewhere_are_refused(saved, entry):
    export.update_metadata(saved[1], **entry)
    with pytest.raises(UserError, match="its metadata") as refusal:
        load_generator(saved[1])
    assert "\n" not in str(refusal.value)
