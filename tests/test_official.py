"""Official weights: read whole from every container, and nothing else, and nothing executed."""

import io
import json
import os
import pickle
import struct
import sys
import types
from pathlib import Path

import numpy as np
import pytest

import facegen_keras as fg
from facegen_keras.errors import UserError
from facegen_keras.official import (
    architecture_of,
    discriminator_path,
    import_nvidia,
    load_discriminator,
)

REFERENCE = Path(__file__).parent / "fixtures" / "stylegan2_reference.npz"

# What a class pickled by the official persistence wrapper carries; running it would be a break-in.
SOURCE = "raise SystemExit('the embedded source was executed')"


@pytest.fixture(scope="module")
def reference():
    return dict(np.load(REFERENCE))


@pytest.fixture
def stub(monkeypatch):
    """The module names that NVIDIA's pickles refer to, enough to write such a pickle."""
    package, module = types.ModuleType("torch_utils"), types.ModuleType("torch_utils.persistence")

    def _reconstruct_persistent_obj(meta):
        raise AssertionError("only the writer's side is needed")

    _reconstruct_persistent_obj.__module__ = module.__name__
    _reconstruct_persistent_obj.__qualname__ = "_reconstruct_persistent_obj"
    module._reconstruct_persistent_obj = _reconstruct_persistent_obj
    package.persistence = module
    monkeypatch.setitem(sys.modules, "torch_utils", package)
    monkeypatch.setitem(sys.modules, "torch_utils.persistence", module)
    return module


class Persistent:
    """Pickles as a network decorated with `persistent_class` does."""

    def __init__(self, reconstruct, class_name, **state):
        self.reconstruct, self.class_name, self.state = reconstruct, class_name, state

    def __reduce__(self):
        meta = {
            "type": "class",
            "version": 6,
            "module_src": SOURCE,
            "class_name": self.class_name,
            "state": self.state,
        }
        return self.reconstruct, (meta,), None


def official_network(stub, state, class_name):
    """The tensors of one network as nested persistent modules with PyTorch parameters."""
    import torch

    def module(prefix, names, class_name):
        parameters, buffers, children = {}, {}, {}
        for name in names:
            own = name.removeprefix(prefix)
            tensor = torch.tensor(state[name])
            if "." in own:
                children.setdefault(own.split(".")[0], []).append(name)
            elif own in ("w_avg", "resample_filter", "noise_const"):
                buffers[own] = tensor
            else:
                parameters[own] = torch.nn.Parameter(tensor)
        kinds = {"mapping": "MappingNetwork", "synthesis": "SynthesisNetwork"}
        modules = {
            child: module(f"{prefix}{child}.", inside, kinds.get(child, "Layer"))
            for child, inside in children.items()
        }
        extra = {"conv_clamp": 256} if "conv1" in prefix else {}
        if ".fc" in prefix:
            extra = {"bias_gain": 0.01, "weight_gain": np.float64(0.01) / np.sqrt(32)}
        return Persistent(
            stub._reconstruct_persistent_obj,
            class_name,
            training=False,
            _parameters=parameters,
            _buffers=buffers,
            _modules=modules,
            _non_persistent_buffers_set=set(),
            c_dim=0,
            **extra,
        )

    return module("", list(state), class_name)


def parts(reference):
    return (
        {k[2:]: v for k, v in reference.items() if k.startswith("G/")},
        {k[2:]: v for k, v in reference.items() if k.startswith("D/")},
    )


def official_pickle(stub, reference, path, **extra):
    g, d = parts(reference)
    content = {
        "G": None,
        "G_ema": official_network(stub, g, "Generator"),
        "D": official_network(stub, d, "Discriminator"),
        "training_set_kwargs": {"resolution": 32, "path": "faces.zip"},
        **extra,
    }
    path.write_bytes(pickle.dumps(content))
    return path


def same_images(path, reference):
    generator = fg.load_generator(path)
    theirs = reference["image_psi_0.7_noise_const"]
    ours = generator(reference["z"], truncation_psi=0.7)
    assert np.abs(ours - theirs).max() / np.abs(theirs).max() < 1e-4
    return generator


def test_a_pickle_written_by_torch(stub, reference, tmp_path):
    pytest.importorskip("torch")
    source = official_pickle(stub, reference, tmp_path / "network.pkl")
    target = import_nvidia(source, tmp_path / "official_generator.h5")
    generator = same_images(target, reference)
    assert generator.metadata["imported_from"] == "network.pkl"
    synthesis = generator.network("const")
    assert synthesis.get_layer("b8_conv1").clamp == 256.0
    assert discriminator_path(target).name == "official_discriminator.h5"
    logits = np.asarray(load_discriminator(target)(reference["real"]))
    np.testing.assert_allclose(logits, reference["logits_real"], rtol=1e-4, atol=1e-5)


def safetensors(state):
    header, body = {}, b""
    for name, value in state.items():
        raw = np.ascontiguousarray(value, "<f4").tobytes()
        offsets = [len(body), len(body) + len(raw)]
        header[name] = {"dtype": "F32", "shape": list(value.shape), "data_offsets": offsets}
        body += raw
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


@pytest.mark.parametrize("kind", ["whole.npz", "generator.npz", "generator.safetensors"])
def test_a_state_dict(kind, reference, tmp_path):
    path = tmp_path / kind
    state, _ = parts(reference)
    if kind == "whole.npz":
        path = REFERENCE
    elif kind == "generator.npz":
        np.savez(path, **state)
    else:
        path.write_bytes(safetensors(state))
    same_images(import_nvidia(path, tmp_path / "x.h5"), reference)
    assert discriminator_path(tmp_path / "x.h5").exists() == (kind == "whole.npz")


class Calls:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    ("payload", "name"),
    [
        (lambda stub: Calls(os.system, "touch broken_in"), "system"),
        (lambda stub: Calls(eval, "open('broken_in', 'w')"), "builtins.eval"),
        (lambda stub: Calls(getattr, "text", "join"), "builtins.getattr"),
        (
            lambda stub: Persistent(
                stub._reconstruct_persistent_obj, "Generator", hook=Calls(exec, "1")
            ),
            "builtins.exec",
        ),
    ],
)
def test_a_malicious_pickle_is_refused_by_name(
    payload, name, stub, reference, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "network.pkl"
    path.write_bytes(pickle.dumps({"G_ema": payload(stub)}))
    with pytest.raises(UserError, match=rf"refused \(it asks for .*{name}.*nothing in it was"):
        import_nvidia(path, tmp_path / "x.h5")
    assert {p.name for p in tmp_path.iterdir()} == {"network.pkl"}


def test_tensor_bytes_are_not_unpickled_freely(stub, tmp_path):
    """The bytes of a tensor are a pickle too, and the usual way past a restricted reader."""
    torch = pytest.importorskip("torch")
    inner = io.BytesIO()
    torch.save(Calls(os.system, "true"), inner, _use_new_zipfile_serialization=False)
    network = Persistent(
        stub._reconstruct_persistent_obj,
        "Generator",
        _buffers={"w_avg": Calls(torch.storage._load_from_bytes, inner.getvalue())},
    )
    path = tmp_path / "network.pkl"
    path.write_bytes(pickle.dumps({"G_ema": network}))
    with pytest.raises(UserError, match="system"):
        import_nvidia(path, tmp_path / "x.h5")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.pkl", pickle.dumps({"G_ema": 3}), "no network G_ema, G or D"),
        ("a.pkl", pickle.dumps([1, 2]), "holds no networks"),
        ("a.pkl", b"\x80\x04\x95", "refused"),
        ("a.npz", b"PK", "not a readable .npz"),
        ("a.safetensors", b"\xff" * 9, "not a readable .safetensors"),
        ("a.onnx", b"", "expected .pkl, .npz"),
    ],
)
def test_other_files_are_refused(name, content, message, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        import_nvidia(path, tmp_path / "x.h5")


def test_the_architecture_is_found_from_the_tensors(reference):
    found = architecture_of(parts(reference)[0])
    assert (found.resolution, found.channels) == (32, {4: 32, 8: 32, 16: 32, 32: 16})
    assert (found.latent_dim, found.w_dim, found.mapping_layers) == (32, 32, 2)
    with pytest.raises(UserError, match="StyleGAN3"):
        architecture_of({"synthesis.input.weight": np.zeros(1)})
    with pytest.raises(UserError, match="class-conditional"):
        architecture_of({"mapping.embed.weight": np.zeros(1)})


def test_the_command_line_imports(reference, tmp_path, capsys):
    from facegen_keras.cli import main

    target = tmp_path / "stylegan2_generator.h5"
    assert main(["import", str(REFERENCE), str(target)]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out == [f"generator: {target}", f"discriminator: {discriminator_path(target)}"]
    same_images(target, reference)
    assert main(["import", str(tmp_path / "none.pkl"), str(target)]) == 2
    assert "no such file" in capsys.readouterr().err
