"""Faces without Keras: the same bits, and Keras where anything is not as expected."""

import json
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

import facegen_keras as fg
from facegen_keras.export.half_weights import write_halves
from facegen_keras.generate.quick import open_quickly
from facegen_keras.inference import latents

ROOT = Path(__file__).resolve().parents[2]
PLAIN = ("vae_decoder", "dcgan_generator", "combined_generator")
SEEDS = range(18)  # more than one chunk
ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="TensorFlow's library is elsewhere")

DRAW = f"""
import sys
import numpy as np
from facegen_keras.generate.quick import open_quickly
from facegen_keras.inference import latents
drawn = {{}}
for path in sys.argv[2:]:
    generator = open_quickly(path)
    if generator is not None:
        z = generator.codes(latents({SEEDS!r}, generator.latent_dim))
        drawn[path] = generator(z)
np.savez(sys.argv[1], **drawn)
print([name for name in ("tensorflow", "keras", "scipy") if name in sys.modules])
"""


def drawn(folder, paths, environment, code=DRAW):
    """What a fresh process draws without Keras, by path; those that it leaves to Keras are not
    there."""
    ended = subprocess.run(
        [sys.executable, "-c", code, str(folder / "drawn.npz"), *map(str, paths)],
        cwd=ROOT,
        env={**environment, "PYTHONPATH": str(ROOT), "KERAS_BACKEND": "tensorflow"},
        capture_output=True,
        text=True,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "[]\n", "")
    with np.load(folder / "drawn.npz") as file:
        return dict(file)


@ON_LINUX
def test_every_bit_of_the_shipped_models_is_that_of_keras(tmp_path, unmeasured):
    paths = [str(ROOT / "saved_models" / f"{name}.h5") for name in PLAIN]
    halves = str(tmp_path / "dcgan_generator.h5")
    write_halves(ROOT / "saved_models" / "dcgan_generator.h5", halves)
    paths.append(halves)
    found = drawn(tmp_path, paths, unmeasured())
    assert set(found) == set(paths)
    for path in paths:
        generator = fg.load_generator(path)
        z = generator.codes(latents(SEEDS, generator.latent_dim))
        np.testing.assert_array_equal(found[path], generator(z))


@ON_LINUX
def test_anything_else_is_left_to_keras(tmp_path, unmeasured):
    original = ROOT / "saved_models" / "dcgan_generator.h5"

    def changed(name, change):
        path = tmp_path / f"{name}.h5"
        shutil.copyfile(original, path)
        with h5py.File(path, "r+") as file:
            config = json.loads(file.attrs["model_config"])
            change({layer["name"]: layer for layer in config["config"]["layers"]}, file)
            file.attrs["model_config"] = json.dumps(config)
        return path

    def layer_setting(layer, **values):
        return lambda layers, file: layers[layer]["config"].update(values)

    def of_doubles(layers, file):
        weights = file["model_weights/project/project"]
        doubled = weights["kernel"][:].astype("float64")
        del weights["kernel"]
        weights["kernel"] = doubled

    changes = {
        "nothing": lambda layers, file: None,
        "activation": layer_setting("image", activation="sigmoid"),
        "dtype": layer_setting("project", dtype="bfloat16"),
        "axis": layer_setting("4x4_norm", axis=1),
        "valid": layer_setting("to_rgb", padding="valid"),
        "ceiling": layer_setting("4x4_relu", max_value=6.0),
        "lambda": lambda layers, file: layers["4x4_relu"].update(class_name="Lambda"),
        "beside": lambda layers, file: layers["4x4_relu"].update(inbound_nodes=[]),
        "family": lambda layers, file: file.attrs.update(
            facegen_metadata=json.dumps({"family": "stylegan2", "part": "generator"})
        ),
        "doubles": of_doubles,
    }
    paths = [changed(name, change) for name, change in changes.items()]
    (tmp_path / "damaged.h5").write_bytes(original.read_bytes()[:5000])
    paths += [tmp_path / "damaged.h5", tmp_path / "absent.h5", tmp_path / "x.keras"]
    assert list(drawn(tmp_path, paths, unmeasured())) == [str(paths[0])]


def test_a_process_that_has_tensorflow_uses_it():
    path = ROOT / "saved_models" / "dcgan_generator.h5"
    fg.load_generator(path)
    assert open_quickly(path) is None


@ON_LINUX
def test_ten_faces_from_a_cold_start_in_two_seconds(tmp_path, unmeasured):
    """Of processor time: it was 4.2 s with Keras."""
    environment = {name: value for name, value in unmeasured().items() if "TF_CPP" not in name}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ended = subprocess.run(
        [sys.executable, "generate.py", "--model_path", "saved_models/dcgan_generator.h5",
         "--num_images", "10", "--output_dir", str(tmp_path)],
        cwd=ROOT,
        env={**environment, "KERAS_BACKEND": "tensorflow"},
        capture_output=True,
        text=True,
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert len(list(tmp_path.glob("dcgan_seed*.png"))) == 10
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2
