"""Files of official weights: read whole from every container, and nothing else, and nothing
executed."""

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

from facegen_keras.errors import UserError
from facegen_keras.export.read import discriminator_path, load_companion
from facegen_keras.models.stylegan2 import official_files
from facegen_keras.models.stylegan2.import_nvidia import import_nvidia

REFERENCE = Path(__file__).parent.parent.parent / "fixtures" / "stylegan2_reference.npz"

# What a class pickled by the official persistence wrapper carries; running it would be a break-in.
SOURCE = "raise SystemExit('the embedded source was executed')"


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


def network_of(stylegan2_reference, name):
    return {k[2:]: v for k, v in stylegan2_reference.items() if k.startswith(f"{name}/")}


def official_pickle(stub, stylegan2_reference, path, **extra):
    content = {
        "G": None,
        "G_ema": official_network(stub, network_of(stylegan2_reference, "G"), "Generator"),
        "D": official_network(stub, network_of(stylegan2_reference, "D"), "Discriminator"),
        "training_set_kwargs": {"resolution": 32, "path": "faces.zip"},
        **extra,
    }
    path.write_bytes(pickle.dumps(content))
    return path


def test_a_pickle_written_by_torch(stub, stylegan2_reference, same_images, tmp_path):
    pytest.importorskip("torch")
    source = official_pickle(stub, stylegan2_reference, tmp_path / "network.pkl")
    target = import_nvidia(source, tmp_path / "official_generator.h5")
    generator = same_images(target)
    assert generator.metadata["imported_from"] == "network.pkl"
    synthesis = generator.network("const")
    assert synthesis.get_layer("b8_conv1").clamp == 256.0
    assert discriminator_path(target).name == "official_discriminator.h5"
    judge = load_companion(target, "stylegan2", "discriminator")
    logits = np.asarray(judge(stylegan2_reference["real"]))
    np.testing.assert_allclose(logits, stylegan2_reference["logits_real"], rtol=1e-4, atol=1e-5)


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
def test_a_state_dict(kind, stylegan2_reference, same_images, tmp_path):
    path = tmp_path / kind
    state = network_of(stylegan2_reference, "G")
    if kind == "whole.npz":
        path = REFERENCE
    elif kind == "generator.npz":
        np.savez(path, **state)
    else:
        path.write_bytes(safetensors(state))
    same_images(import_nvidia(path, tmp_path / "x.h5"))
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
    payload, name, stub, stylegan2_reference, tmp_path, monkeypatch
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
        ("a.pkl", b"\x80\x04\x8e" + struct.pack("<Q", 1 << 62), r"refused \(MemoryError\)"),
        ("a.npz", b"PK", "not a readable .npz"),
        ("a.safetensors", b"\xff" * 9, "not a readable .safetensors"),
        (
            "a.safetensors",
            struct.pack("<Q", 200_000) + b'{"a":' + b"[" * 199_995,
            "not a readable .safetensors",
        ),
        ("a.safetensors", safetensors({"conv1.weight": np.ones(1)}), "not a tensor of a StyleGAN2"),
        ("a.onnx", b"", "expected .pkl, .npz"),
    ],
)
def test_other_files_are_refused(name, content, message, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        import_nvidia(path, tmp_path / "x.h5")


def write_network(stub, path, class_name, **state):
    network = Persistent(stub._reconstruct_persistent_obj, class_name, **state)
    path.write_bytes(pickle.dumps({"G_ema": network}))
    return path


def test_a_layer_in_two_places_is_refused(stub, tmp_path):
    """Sixty layers, each twice in the next, would be 2**60 to visit."""
    layer = Persistent(stub._reconstruct_persistent_obj, "Layer")
    for _ in range(60):
        inside = {"a": layer, "b": layer}
        layer = Persistent(stub._reconstruct_persistent_obj, "Layer", _modules=inside)
    path = write_network(stub, tmp_path / "a.pkl", "Generator", _modules={"a": layer})
    with pytest.raises(UserError, match="in two places"):
        import_nvidia(path, tmp_path / "x.h5")


@pytest.mark.parametrize("gain", [0.0, float("nan"), "text"])
def test_a_learning_rate_is_a_positive_number(gain, stub, tmp_path):
    layer = Persistent(stub._reconstruct_persistent_obj, "Layer", bias_gain=gain)
    path = write_network(stub, tmp_path / "a.pkl", "MappingNetwork", _modules={"fc0": layer})
    with pytest.raises(UserError, match="bias_gain of a layer is not a positive number"):
        import_nvidia(path, tmp_path / "x.h5")


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"activation": "relu"}, r"a.pkl: activation 'relu'; only lrelu"),
        ({"c_dim": 10}, "a.pkl: a class-conditional network"),
        ({"activation": ["relu"]}, "an activation without a name"),
    ],
)
def test_what_our_layers_do_not_do_is_refused(state, message, stub, tmp_path):
    torch = pytest.importorskip("torch")
    buffers = {"w_avg": torch.zeros(3)}
    path = write_network(stub, tmp_path / "a.pkl", "MappingNetwork", _buffers=buffers, **state)
    with pytest.raises(UserError, match=message):
        import_nvidia(path, tmp_path / "x.h5")


def test_a_pickle_changes_nothing_in_this_process(tmp_path):
    on_class = b"cdnnlib.util\nEasyDict\n(N(dS'get'\nctorch\nSize\nstb0"
    on_function = (
        b"ctorch_utils.persistence\n_reconstruct_persistent_obj\n(N(dS'__defaults__'\n(I1\ntstb."
    )
    (tmp_path / "a.pkl").write_bytes(on_class + on_function)
    with pytest.raises(UserError, match="refused"):
        import_nvidia(tmp_path / "a.pkl", tmp_path / "x.h5")
    assert "get" not in vars(official_files._EasyDict)
    assert official_files._persistent.__defaults__ is None
