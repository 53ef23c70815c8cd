"""`.safetensors` files, against the library of that name."""

import json
import struct

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from facegen_keras.errors import UserError
from facegen_keras.files.safetensors_file import read_safetensors, write_safetensors

TENSORS = {
    "b/kernel": np.arange(12, dtype="float32").reshape(3, 4).T,
    "a": np.array(7, "int64"),
    "c": np.zeros((0, 2), "float16"),
}
TEXTS = {"licence": "fünf", "family": "vae"}


def test_the_library_reads_what_we_write(tmp_path):
    path = tmp_path / "x.safetensors"
    write_safetensors(path, TENSORS, TEXTS)
    with safe_open(path, "np") as file:
        assert file.metadata() == TEXTS
        assert set(file.keys()) == set(TENSORS)
        for name, value in TENSORS.items():
            found = file.get_tensor(name)
            assert found.dtype == value.dtype
            np.testing.assert_array_equal(found, value)


def test_we_read_what_the_library_writes(tmp_path):
    path = tmp_path / "x.safetensors"
    # The library takes the memory of an array as it lies, transposed or not.
    save_file({name: value.copy("C") for name, value in TENSORS.items()}, path, TEXTS)
    tensors, texts = read_safetensors(path)
    assert texts == TEXTS
    assert tensors.keys() == TENSORS.keys()
    for name, value in TENSORS.items():
        assert tensors[name].dtype == value.dtype
        np.testing.assert_array_equal(tensors[name], value)


def test_a_file_that_is_cut_short(tmp_path):
    path = tmp_path / "x.safetensors"
    write_safetensors(path, TENSORS, TEXTS)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"not a readable \.safetensors .* is cut short"):
        read_safetensors(path)


def test_tensors_over_the_same_bytes_do_not_fill_the_memory(tmp_path):
    entry = {"dtype": "BF16", "shape": [2**19], "data_offsets": [0, 2**20]}
    header = json.dumps({str(number): entry for number in range(4)}).encode()
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(2**20))
    with pytest.raises(UserError, match="its tensors are larger than the file"):
        read_safetensors(path)
    path.write_bytes(struct.pack("<Q", 2**62) + header)
    with pytest.raises(UserError, match="a header of"):
        read_safetensors(path)


def test_another_dtype_is_one_line(tmp_path):
    with pytest.raises(UserError, match="seeds is uint32; expected float64, float32"):
        write_safetensors(tmp_path / "x.safetensors", {"seeds": np.zeros(2, "u4")}, {})
    assert list(tmp_path.iterdir()) == []
