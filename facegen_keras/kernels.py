"""TensorFlow's kernels through its C API, without its Python, whose import takes seconds.

The functions are those of `tensorflow/c/c_api.h` and `tensorflow/c/eager/c_api.h`, which other
languages use. An operation runs in the same kernel that `import tensorflow` would run it in, so
that the result has the same bits. It needs the library that the wheels for Linux have; where it is
missing, or anything else is not as expected, `Kernels` raises `Unavailable`, and the caller does
it in Python.
"""

import ctypes
import glob
import importlib.util
import os
import sys
from collections.abc import Sequence
from ctypes import POINTER, c_char_p, c_float, c_int, c_int64, c_size_t, c_ubyte, c_void_p
from pathlib import Path
from typing import Any

import numpy as np

LIBRARY = "libtensorflow_cc.so.2"
FLOAT, INT32 = 1, 3  # TF_DataType
ACCELERATORS = ("/dev/nvidia*", "/dev/kfd")  # there, Python's TensorFlow computes on the GPU
DTYPES = {np.dtype("float32"): FLOAT, np.dtype("int32"): INT32}

# Arguments and results; TF_* and TFE_* types are opaque pointers.
_P = c_void_p
_SIGNATURES: dict[str, tuple[Any, list[Any]]] = {
    "TF_NewStatus": (_P, []),
    "TF_GetCode": (c_int, [_P]),
    "TF_Message": (c_char_p, [_P]),
    "TF_AllocateTensor": (_P, [c_int, POINTER(c_int64), c_int, c_size_t]),
    "TF_TensorData": (_P, [_P]),
    "TF_NumDims": (c_int, [_P]),
    "TF_Dim": (c_int64, [_P, c_int]),
    "TF_DeleteTensor": (None, [_P]),
    "TFE_NewContextOptions": (_P, []),
    "TFE_NewContext": (_P, [_P, _P]),
    "TFE_NewTensorHandle": (_P, [_P, _P]),
    "TFE_TensorHandleResolve": (_P, [_P, _P]),
    "TFE_TensorHandleDim": (c_int64, [_P, c_int, _P]),
    "TFE_DeleteTensorHandle": (None, [_P]),
    "TFE_NewOp": (_P, [_P, c_char_p, _P]),
    "TFE_DeleteOp": (None, [_P]),
    "TFE_OpAddInput": (None, [_P, _P, _P]),
    "TFE_OpSetAttrType": (None, [_P, c_char_p, c_int]),
    "TFE_OpSetAttrFloat": (None, [_P, c_char_p, c_float]),
    "TFE_OpSetAttrBool": (None, [_P, c_char_p, c_ubyte]),
    "TFE_OpSetAttrString": (None, [_P, c_char_p, c_char_p, c_size_t]),
    "TFE_OpSetAttrIntList": (None, [_P, c_char_p, POINTER(c_int64), c_int]),
    "TFE_Execute": (None, [_P, POINTER(c_void_p), POINTER(c_int), _P]),
}

Attribute = bool | float | bytes | Sequence[int]


class Unavailable(Exception):
    """The kernels cannot be used here; says why."""


class Handle:
    """A tensor in TensorFlow's memory, freed with this object."""

    def __init__(self, library: ctypes.CDLL, pointer: int) -> None:
        self.library, self.pointer = library, pointer

    def __del__(self) -> None:
        self.library.TFE_DeleteTensorHandle(self.pointer)


class Kernels:
    """The loaded library, on the CPU.

    Raises:
        Unavailable: There is no such library, an accelerator is to be used, or the process has
            TensorFlow already.
    """

    def __init__(self) -> None:
        self.library = _library()
        self.status = self.library.TF_NewStatus()
        options = self.library.TFE_NewContextOptions()
        self.context = self.library.TFE_NewContext(options, self.status)  # until the process ends
        self._check()

    def tensor(self, array: np.ndarray) -> Handle:
        """Copy a float32 or int32 array of any shape."""
        array = np.ascontiguousarray(array)
        shape = (c_int64 * array.ndim)(*array.shape)
        tensor = self.library.TF_AllocateTensor(
            DTYPES[array.dtype], shape, array.ndim, array.nbytes
        )
        ctypes.memmove(self.library.TF_TensorData(tensor), array.ctypes.data, array.nbytes)
        handle = self.library.TFE_NewTensorHandle(tensor, self.status)
        self.library.TF_DeleteTensor(tensor)
        self._check()
        return Handle(self.library, handle)

    def array(self, handle: Handle) -> np.ndarray:
        """Copy a float32 tensor back."""
        library = self.library
        tensor = library.TFE_TensorHandleResolve(handle.pointer, self.status)
        self._check()
        shape = [library.TF_Dim(tensor, axis) for axis in range(library.TF_NumDims(tensor))]
        array = np.empty(shape, "float32")
        ctypes.memmove(array.ctypes.data, library.TF_TensorData(tensor), array.nbytes)
        library.TF_DeleteTensor(tensor)
        return array

    def rows(self, handle: Handle) -> int:
        """The length of a tensor's first axis."""
        rows = self.library.TFE_TensorHandleDim(handle.pointer, 0, self.status)
        self._check()
        return int(rows)

    def run(self, name: str, *inputs: Handle | np.ndarray, **attributes: Attribute) -> Handle:
        """Run an operation of float32 tensors that has one output.

        Args:
            name: Of the operation, such as "MatMul".
            *inputs: Its inputs.
            **attributes: Those that differ from the operation's defaults.
        """
        library, status = self.library, self.status
        op = library.TFE_NewOp(self.context, name.encode(), status)
        self._check()
        try:
            library.TFE_OpSetAttrType(op, b"T", FLOAT)
            for key, value in attributes.items():
                self._set(op, key.encode(), value)
            handles = [x if isinstance(x, Handle) else self.tensor(x) for x in inputs]
            for handle in handles:
                library.TFE_OpAddInput(op, handle.pointer, status)
                self._check()
            results, count = (c_void_p * 1)(), c_int(1)
            library.TFE_Execute(op, results, ctypes.byref(count), status)
            self._check()
        finally:
            library.TFE_DeleteOp(op)
        return Handle(library, results[0] or 0)

    def _set(self, op: int, key: bytes, value: Attribute) -> None:
        library = self.library
        if isinstance(value, bool):
            library.TFE_OpSetAttrBool(op, key, value)
        elif isinstance(value, float):
            library.TFE_OpSetAttrFloat(op, key, value)
        elif isinstance(value, bytes):
            library.TFE_OpSetAttrString(op, key, value, len(value))
        else:
            library.TFE_OpSetAttrIntList(op, key, (c_int64 * len(value))(*value), len(value))

    def _check(self) -> None:
        if self.library.TF_GetCode(self.status):
            raise Unavailable(self.library.TF_Message(self.status).decode(errors="replace"))


def _library() -> ctypes.CDLL:
    if "tensorflow" in sys.modules:
        raise Unavailable("TensorFlow is imported already")
    if sys.platform != "linux" or any(glob.glob(pattern) for pattern in ACCELERATORS):
        raise Unavailable("only on the CPU of Linux")
    found = importlib.util.find_spec("tensorflow")
    path = Path(found.origin).parent / LIBRARY if found and found.origin else None
    if path is None or not os.path.exists(path):
        raise Unavailable(f"no {LIBRARY}")
    try:
        library = ctypes.CDLL(str(path))
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError) as error:
        raise Unavailable(str(error)) from None
    return library
