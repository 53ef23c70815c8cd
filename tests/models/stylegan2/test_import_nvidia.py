"""Official weights as networks of this package: taken whole, or refused with the reason."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from facegen_keras.errors import UserError
from facegen_keras.export.read import discriminator_path, load_companion
from facegen_keras.export.write import update_metadata
from facegen_keras.files.h5_file import seal
from facegen_keras.models.stylegan2 import import_nvidia as official
from facegen_keras.models.stylegan2.import_nvidia import architecture_of, import_nvidia


def parts(stylegan2_reference):
    return (
        {k[2:]: v for k, v in stylegan2_reference.items() if k.startswith("G/")},
        {k[2:]: v for k, v in stylegan2_reference.items() if k.startswith("D/")},
    )


def test_a_discriminator_of_another_export_is_refused(stylegan2_reference, tmp_path):
    source = tmp_path / "official.npz"
    np.savez(
        source, **{name: x for name, x in stylegan2_reference.items() if name[:2] in ("G/", "D/")}
    )
    target = import_nvidia(source, tmp_path / "official_generator.h5")
    assert load_companion(target, "stylegan2", "discriminator").output_shape == (None, 1)
    update_metadata(target, export="a")
    update_metadata(discriminator_path(target), export="b")
    with pytest.raises(UserError, match=r"discriminator.*: exported from another model than"):
        load_companion(target, "stylegan2", "discriminator")
    update_metadata(discriminator_path(target), export="a")
    with h5py.File(discriminator_path(target), "r+") as file:
        layers = file["model_weights"]
        del layers[next(name for name in layers if len(layers[name]))]
        seal(file)
    with pytest.raises(UserError, match=r"discriminator\.h5: Keras cannot open it \("):
        load_companion(target, "stylegan2", "discriminator")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("synthesis.b4.conv1.weight", np.float32(1), "has 0 axes instead of 2 or 4"),
        ("synthesis.b4.conv1.weight", np.zeros((4_000_000, 0, 3, 3), "f4"), "float32 of shape"),
        ("synthesis.b8.conv1.weight", np.zeros((99, 1, 3, 3), "f4"), "has 1 inputs; expected 99"),
        ("synthesis.b4.conv1.bias", np.array(["a"] * 32), "is <U1 of shape"),
        ("synthesis.b4.conv1.bias", np.full(32, np.nan, "f4"), "not finite"),
        ("synthesis.b4.conv1.bias", np.full(32, 1e300), "not finite in float32"),
        ("mapping.fc0.weight", np.zeros((99, 32), "f4"), r"fc1.weight has shape \(32, 32\)"),
    ],
)
def test_damaged_weights_are_refused_before_a_network_is_built(
    name, value, message, stylegan2_reference, tmp_path, monkeypatch
):
    monkeypatch.setattr("facegen_keras.models.stylegan2.networks.build_mapping", None)
    np.savez(tmp_path / "a.npz", **{**parts(stylegan2_reference)[0], name: value})
    with pytest.raises(UserError, match=message):
        import_nvidia(tmp_path / "a.npz", tmp_path / "x.h5")


def test_a_discriminator_alone_is_no_generator(stylegan2_reference, tmp_path):
    np.savez(
        tmp_path / "a.npz", **{f"G/{name}": v for name, v in parts(stylegan2_reference)[1].items()}
    )
    with pytest.raises(UserError, match="not a generator but a discriminator"):
        import_nvidia(tmp_path / "a.npz", tmp_path / "x.h5")


def test_the_architecture_is_found_from_the_tensors(stylegan2_reference):
    found = architecture_of(parts(stylegan2_reference)[0])
    assert (found.resolution, found.channels) == (32, {4: 32, 8: 32, 16: 32, 32: 16})
    assert (found.latent_dim, found.w_dim, found.mapping_layers) == (32, 32, 2)
    with pytest.raises(UserError, match="StyleGAN3"):
        architecture_of({"synthesis.input.weight": np.zeros(1)})
    with pytest.raises(UserError, match="class-conditional"):
        architecture_of({"mapping.embed.weight": np.zeros(1)})


def test_a_program_is_warned_of_a_discriminator_left_out(monkeypatch):
    done = official.Imported(Path("x.h5"), left_out="why")
    monkeypatch.setattr(official, "import_networks", lambda src, dst: done)
    with pytest.warns(UserWarning, match="why"):
        assert import_nvidia("x.npz", "x.h5") == Path("x.h5")
