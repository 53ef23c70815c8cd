"""The `.safetensors` format: a JSON header that describes the tensors, then their bytes.

Written here rather than with the package `safetensors`, whose files differ from run to run in the
order of their metadata: the same tensors always give the same bytes.
"""

import json
import os
import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from facegen_keras.errors import UserError
from facegen_keras.files.atomic import replacing
from facegen_keras.files.limits import MOST_TEXT

METADATA = "__metadata__"
DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4"}
ALIGNMENT = 8  # bytes; the header is padded with spaces, so that tensors can be mapped into memory


def write_safetensors(
    path: str | os.PathLike, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]
) -> None:
    """Write tensors by name, sorted, with texts beside them; whole or not at all.

    Args:
        path: Target.
        tensors: Arrays by name, of a dtype in `DTYPES`.
        metadata: Texts by name.

    Raises:
        UserError: A tensor has another dtype, or the file cannot be written.
    """
    names = {np.dtype(code): name for name, code in DTYPES.items()}
    header: dict[str, object] = {METADATA: dict(metadata)}
    bodies, end = [], 0
    for name in sorted(tensors):
        array = np.asarray(tensors[name], order="C")
        dtype = array.dtype.newbyteorder("<")
        if dtype not in names:
            raise UserError(
                f"{path}: {name} is {array.dtype}; expected {', '.join(map(str, names))}"
            )
        start, end = end, end + array.nbytes
        header[name] = {
            "dtype": names[dtype],
            "shape": list(array.shape),
            "data_offsets": [start, end],
        }
        bodies.append(array.astype(dtype, copy=False).tobytes())
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    with replacing(path) as temporary, open(temporary, "wb") as file:
        file.writelines([struct.pack("<Q", len(text)), text, *bodies])


def read_safetensors(path: str | os.PathLike) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The tensors of a file by name, and the texts beside them.

    Raises:
        UserError: The file is damaged, or holds a dtype that is not read.
    """
    raw = Path(path).read_bytes()
    try:
        (length,) = struct.unpack("<Q", raw[:8])
        if length > MOST_TEXT:
            raise ValueError(f"a header of {length:,} bytes")
        header = json.loads(raw[8 : 8 + length])
        metadata = header.pop(METADATA, {})
        body, tensors = memoryview(raw)[8 + length :], {}
        used = 0
        for name, entry in header.items():
            start, end = entry["data_offsets"]
            if not 0 <= start <= end <= len(body):
                raise ValueError(f"{name} is cut short")
            used += end - start
            if used > len(body):
                raise ValueError("its tensors are larger than the file")
            if entry["dtype"] == "BF16":  # the upper half of a float32
                upper = np.frombuffer(body[start:end], "<u2").astype("<u4")
                data = (upper << 16).view("<f4")
            else:
                data = np.frombuffer(body[start:end], DTYPES[entry["dtype"]])
            tensors[name] = data.reshape(entry["shape"])
        return tensors, metadata
    except Exception as error:  # a damaged header fails in many ways
        reason = str(error) or type(error).__name__
        raise UserError(f"{path}: not a readable .safetensors ({reason})") from None
