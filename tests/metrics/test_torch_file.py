"""The restricted reader: right numbers from what torch wrote, no for anything else."""

import os
import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from facegen_keras.errors import UserError
from facegen_keras.metrics.torch_file import LEGACY_MAGIC, read_state_dict

NAMES = ("Conv2d_1a_3x3.conv.weight", "Conv2d_1a_3x3.bn.running_var", "fc.weight", "fc.bias")


def tensors(torch):
    generator = torch.Generator().manual_seed(0)
    shapes = ((32, 3, 3, 3), (32,), (10, 8), (10,))
    state = OrderedDict(
        (name, torch.randn(shape, generator=generator))
        for name, shape in zip(NAMES, shapes, strict=True)
    )
    state["half"] = torch.randn(5, generator=generator).half()
    state["brain"] = torch.randn(5, generator=generator).bfloat16()
    state["long"] = torch.tensor(7)  # num_batches_tracked is such a scalar
    state["strided"] = torch.randn(4, 6, generator=generator).t()
    state["slice"] = torch.arange(20.0)[5:9]  # a view that starts inside its storage
    state["double"] = torch.randn(2, 0, generator=generator).double()
    state["parameter"] = torch.nn.Parameter(torch.ones(3))
    return state


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_reads_what_torch_wrote(tmp_path, zipped):
    torch = pytest.importorskip("torch")
    state = tensors(torch)
    path = tmp_path / "weights.pth"
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    read = read_state_dict(path)
    assert list(read) == list(state)
    for name, tensor in state.items():
        expected = tensor.detach().float().numpy() if name == "brain" else tensor.detach().numpy()
        assert read[name].dtype == expected.dtype, name
        assert read[name].shape == expected.shape, name
        np.testing.assert_array_equal(read[name], expected, err_msg=name)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_all_names_of_the_published_file(tmp_path, zipped):
    """472 tensors under Inception's names, each with its own value (and tiny shapes)."""
    torch = pytest.importorskip("torch")
    with np.load(Path(__file__).parent / "inception_reference.npz") as data:
        names, shapes = data["names"].tolist(), data["shapes"].tolist()
    sizes = [[min(2, int(n)) for n in shape.split(",")] for shape in shapes]
    state = {
        name: torch.full(s, float(i)) for i, (name, s) in enumerate(zip(names, sizes, strict=True))
    }
    torch.save(state, tmp_path / "x.pth", _use_new_zipfile_serialization=zipped)
    read = read_state_dict(tmp_path / "x.pth")
    assert list(read) == names
    for i, (name, size) in enumerate(zip(names, sizes, strict=True)):
        np.testing.assert_array_equal(read[name], np.full(size, i, np.float32))


def test_state_dict_inside_a_checkpoint(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"state_dict": {"a": torch.ones(2)}, "epoch": 3}, tmp_path / "x.pth")
    assert read_state_dict(tmp_path / "x.pth")["a"].tolist() == [1, 1]


class Hostile:
    """Unpickled by an ordinary reader, this creates a file."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.mkdir, (str(self.target),)


def legacy_bytes(content) -> bytes:
    parts = [LEGACY_MAGIC, 1001, {"little_endian": True, "protocol_version": 1001}, content, []]
    return b"".join(pickle.dumps(part, 2) for part in parts)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_refuses_to_run_anything(tmp_path, zipped):
    target = tmp_path / "made by the pickle"
    path = tmp_path / "evil.pth"
    if zipped:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", pickle.dumps({"w": Hostile(target)}, 2))
    else:
        path.write_bytes(legacy_bytes({"w": Hostile(target)}))
    with pytest.raises(UserError, match="mkdir"):
        read_state_dict(path)
    assert not target.exists()
    pickle.loads(pickle.dumps(Hostile(target)))  # the payload does work where nobody refuses it
    assert target.exists()


@pytest.mark.parametrize("name", ["builtins.eval", "torch.load", "torch.hub._import_module"])
def test_refuses_every_other_name(tmp_path, name):
    module, attribute = name.rsplit(".", 1)
    body = b"\x80\x02c" + f"{module}\n{attribute}\n".encode() + b"."
    path = tmp_path / "x.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/data.pkl", body)
    with pytest.raises(UserError, match=attribute):
        read_state_dict(path)


def test_refuses_a_view_larger_than_its_storage(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"w": torch.ones(1).expand(4000, 4000)}, tmp_path / "x.pth")
    with pytest.raises(UserError, match="larger than its storage"):
        read_state_dict(tmp_path / "x.pth")


def test_refuses_damage(tmp_path):
    torch = pytest.importorskip("torch")
    path = tmp_path / "x.pth"
    torch.save({"w": torch.ones(1000)}, path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(UserError, match="cut short"):
        read_state_dict(path)
    path.write_bytes(legacy_bytes({"w": 3}))
    with pytest.raises(UserError, match="is no tensor"):
        read_state_dict(path)
    path.write_bytes(b"hello")
    with pytest.raises(UserError, match="refused"):
        read_state_dict(path)
    path.write_bytes(legacy_bytes({})[:-5] + struct.pack("<q", 1 << 60))
    with pytest.raises(UserError, match="refused"):
        read_state_dict(path)
    with pytest.raises(UserError, match="no such file"):
        read_state_dict(tmp_path / "none.pth")
