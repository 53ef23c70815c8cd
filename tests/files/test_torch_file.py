"""The restricted reader: right numbers from what torch wrote, no for anything else."""

import os
import pickle
import struct
import tracemalloc
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from facegen_keras.errors import UserError
from facegen_keras.files.torch_file import LEGACY_MAGIC, read_size, read_state_dict

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
    with np.load(Path(__file__).parent.parent / "metrics" / "inception_reference.npz") as data:
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


def test_one_tensor_under_many_names(tmp_path):
    torch = pytest.importorskip("torch")
    tied = torch.ones(2, 3).t()
    torch.save({"a": tied, "b": tied}, tmp_path / "x.pth")
    assert read_state_dict(tmp_path / "x.pth")["b"].shape == (3, 2)
    torch.save({str(i): tied for i in range(20)}, tmp_path / "x.pth")
    with pytest.raises(UserError, match="one storage serves too many tensors"):
        read_state_dict(tmp_path / "x.pth")


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_refuses_parts_larger_than_the_file(tmp_path, compression):
    path = tmp_path / "bomb.pth"
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("x/data.pkl", pickle.dumps({}, 2))
        archive.writestr("x/byteorder", bytes(10_000_000))
    if compression == zipfile.ZIP_STORED:
        raw = bytearray(path.read_bytes())
        size = raw.rindex(b"PK\1\2") + 24  # of the last member, in the directory of the archive
        raw[size : size + 4] = struct.pack("<I", 1 << 30)
        path.write_bytes(raw)
    reason = "larger than the file" if compression == zipfile.ZIP_STORED else "it is compressed"
    with pytest.raises(UserError, match=reason):
        read_state_dict(path)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"\x80\x02Nr" + struct.pack("<I", 1 << 23) + b".", "does not start like"),
        (b"\x80\x05\x96" + struct.pack("<Q", 1 << 27) + b".", "damaged, or not a pickle"),
        (b"\x80\x02)q\x00" + b"h\x00h\x00\x86q\x00" * 22 + b"}h\x00Ns.", "unhashable"),
        (
            b"\x80\x02((K\x01K\x02\x86"
            + b"2" * 10_000
            + b"lq\x00"
            + b"ccollections\nOrderedDict\nh\x00\x85R" * 20
            + b"l.",
            "tables are too long",
        ),
    ],
    ids=["memo", "bytearray", "hash", "tables"],
)
def test_a_small_file_takes_little_memory_and_time(tmp_path, body, reason):
    (tmp_path / "x.pth").write_bytes(body)
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match=reason):
            read_state_dict(tmp_path / "x.pth")
        assert tracemalloc.get_traced_memory()[1] < 30e6
    finally:
        tracemalloc.stop()


def test_a_long_size_is_not_copied_for_every_mention():
    assert read_size((2, 3)) == (2, 3)
    for size in ([2, 3], (1,) * 9):
        with pytest.raises(pickle.UnpicklingError, match="at most 8"):
            read_size(size)


def test_refuses_damage(tmp_path):
    torch = pytest.importorskip("torch")
    path = tmp_path / "x.pth"
    torch.save({"w": torch.ones(1000)}, path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(UserError, match="cut short"):
        read_state_dict(path)
    path.write_bytes(legacy_bytes({"w": 3}))
    with pytest.raises(UserError, match="is not a tensor"):
        read_state_dict(path)
    path.write_bytes(b"hello")
    with pytest.raises(UserError, match="refused"):
        read_state_dict(path)
    path.write_bytes(legacy_bytes({})[:-5] + struct.pack("<q", 1 << 60))
    with pytest.raises(UserError, match="refused"):
        read_state_dict(path)
    with pytest.raises(UserError, match="no such file"):
        read_state_dict(tmp_path / "none.pth")
