"""Read the tensors of a PyTorch `.pth` file without PyTorch and without executing its content.

A `.pth` is a pickle, and unpickling an untrusted file can run any program. This reader knows the
few names that a file of tensors needs, rebuilds these as NumPy arrays, and refuses everything else
before anything is called. It reads both containers: the zip of torch >= 1.6 and the older stream.
"""

import io
import math
import pickle
import struct
import sys
import zipfile
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Protocol

import numpy as np

from facegen_keras.errors import UserError
from facegen_keras.files.limits import open_archive

# Limits far above what intact files need, which keep a small hostile file from filling the memory.
MOST_AXES = 8
MOST_PAIRS = 100_000
MOST_USES = 8  # total size of the tensors over a storage, in its own size; tied weights need 2

# First value of the older container (torch/serialization.py, `MAGIC_NUMBER`).
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C

STORAGE_DTYPES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}


class LazyStorage:
    """The flat memory that tensors are views of, filled when its bytes are read."""

    def __init__(self, dtype: str, count: int) -> None:
        self.dtype = dtype
        self.count = count
        self.data: np.ndarray | None = None
        self.used = 0

    @property
    def itemsize(self) -> int:
        """Bytes of one number."""
        return 2 if self.dtype == "bfloat16" else np.dtype(self.dtype).itemsize

    def fill(self, raw: bytes) -> None:
        """Set the content.

        Raises:
            pickle.UnpicklingError: The number of bytes is wrong.
        """
        if len(raw) != self.count * self.itemsize:
            raise pickle.UnpicklingError("a tensor is cut short")
        if self.dtype == "bfloat16":  # the upper half of a float32; NumPy has no such type
            upper = np.frombuffer(raw, "<u2").astype("<u4")
            self.data = (upper << 16).view("<f4")
        else:
            self.data = np.frombuffer(raw, self.dtype)


class LazyTensor:
    """A view of a storage that is filled later (the older container stores data last)."""

    def __init__(self, storage: LazyStorage, offset: int, size: tuple, stride: tuple) -> None:
        self.storage, self.offset, self.size, self.stride = storage, offset, size, stride

    def array(self) -> np.ndarray:
        """The tensor, copied out of its storage.

        Raises:
            pickle.UnpicklingError: The view does not fit its storage.
        """
        data = self.storage.data
        if data is None:
            raise pickle.UnpicklingError("a tensor has no data")
        size, stride = self.size, self.stride
        if len(size) != len(stride) or any(type(v) is not int or v < 0 for v in size + stride):
            raise pickle.UnpicklingError("a tensor has an impossible shape")
        if math.prod(size) > len(data):  # an expanded view could ask for any amount of memory
            raise pickle.UnpicklingError("a tensor is larger than its storage")
        last = self.offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
        self.storage.used += math.prod(size)
        if self.storage.used > MOST_USES * self.storage.count:
            raise pickle.UnpicklingError("one storage serves too many tensors")
        if self.offset < 0 or (0 not in size and last >= len(data)):
            raise pickle.UnpicklingError("a tensor reaches outside its storage")
        steps = tuple(s * data.itemsize for s in stride)
        view = np.lib.stride_tricks.as_strided(data[self.offset :], size, steps, writeable=False)
        return np.ascontiguousarray(view).reshape(size)


def _rebuild_tensor(
    storage: object, offset: int, size: object, stride: object, *_: object
) -> LazyTensor:
    if not isinstance(storage, LazyStorage):
        raise pickle.UnpicklingError("a tensor without storage")
    return LazyTensor(storage, offset, read_size(size), read_size(stride))


def read_size(size: object) -> tuple:
    """A size with few axes, unchanged: a copy of a long one per mention could fill the memory.

    Raises:
        pickle.UnpicklingError: It is not a tuple, or a long one.
    """
    if not isinstance(size, tuple) or len(size) > MOST_AXES:
        raise pickle.UnpicklingError(f"a size that is not a tuple of at most {MOST_AXES} numbers")
    return size


def _rebuild_parameter(tensor: object, *_: object) -> LazyTensor:
    if not isinstance(tensor, LazyTensor):
        raise pickle.UnpicklingError("a parameter without a tensor")
    return tensor


class _StorageType:
    """Represents `torch.FloatStorage` and the like: a name to look up, not something to call."""

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype


class _Tuple(tuple):
    """A tuple that cannot be a key: hashing tuples nested many times may take exponential time."""

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]  # how Python says it; no stub of tuple can


class _Reader(Protocol):
    """The part of `pickle._Unpickler` that instructions work on."""

    stack: list[Any]  # of the objects that are being built


def _load_tuple(instruction: int) -> Callable[[_Reader], None]:
    load: Callable = pickle._Unpickler.dispatch[instruction]

    def load_unhashable(reader: _Reader) -> None:
        load(reader)
        reader.stack[-1] = _Tuple(reader.stack[-1])

    return load_unhashable


def _drop_state(reader: _Reader) -> None:
    """Skip the state of an object: nothing here needs one, and it could change anything."""
    reader.stack.pop()


class TensorReader(pickle._Unpickler):
    """An unpickler that knows only the names below.

    It extends the unpickler written in Python, whose instructions can be replaced, and whose memory
    grows with the size of the file, not with the numbers in it.

    Args:
        file: The pickle.
        load: Called with the key and the storage when a storage is first mentioned.
    """

    _TUPLES = (
        pickle.EMPTY_TUPLE,
        pickle.TUPLE,
        pickle.TUPLE1,
        pickle.TUPLE2,
        pickle.TUPLE3,
    )
    dispatch: ClassVar[dict[int, Callable]] = {
        **pickle._Unpickler.dispatch,
        **{code[0]: _load_tuple(code[0]) for code in _TUPLES},
        pickle.BUILD[0]: _drop_state,
    }
    del dispatch[pickle.FROZENSET[0]]  # hashable, however deeply nested
    del dispatch[pickle.BYTEARRAY8[0]]  # allocates its memory before it reads

    def __init__(self, file: BinaryIO, load: Callable[[str, LazyStorage], None]) -> None:
        super().__init__(file, encoding="utf-8")
        self._load = load
        self._pairs = 0
        self.storages: dict[str, LazyStorage] = {}

    def load(self) -> object:
        """The content of the pickle.

        Raises:
            pickle.UnpicklingError: It is damaged or not allowed. A hostile pickle may raise others.
        """
        try:
            return super().load()
        except (EOFError, LookupError, AttributeError, struct.error):
            raise pickle.UnpicklingError("it is damaged, or not a pickle") from None

    def find_class(self, module: str, name: str) -> object:
        """What stands for a name of the pickle; one that tensors do not need is refused."""
        if (module, name) == ("collections", "OrderedDict"):
            return self._table
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild_tensor
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return _rebuild_parameter
        if module in ("torch", "torch.storage") and name in STORAGE_DTYPES:
            return _StorageType(STORAGE_DTYPES[name])
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is not a tensor")

    def persistent_load(self, pid: object) -> LazyStorage:
        """The storage that a reference names, the same one at every mention."""
        # ("storage", type, key, device, element count[, view]) in both containers
        if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != "storage":
            raise pickle.UnpicklingError("it refers to something that is not a storage")
        kind, key, count = pid[1], pid[2], pid[4]
        if not isinstance(kind, _StorageType) or type(key) is not str:
            raise pickle.UnpicklingError("a storage of an unknown kind")
        if type(count) is not int or count < 0:
            raise pickle.UnpicklingError("a storage of an impossible length")
        if len(pid) > 5 and pid[5] is not None:
            raise pickle.UnpicklingError("views of storages (torch < 0.4) are not read")
        if key not in self.storages:
            self.storages[key] = LazyStorage(kind.dtype, count)
            self._load(key, self.storages[key])
        return self.storages[key]

    def _table(self, pairs: Collection[tuple[object, object]] = ()) -> dict:
        """An OrderedDict: Python 2 wrote its items as pairs, Python 3 adds them afterwards."""
        self._pairs += len(pairs)
        if self._pairs > MOST_PAIRS:
            raise pickle.UnpicklingError("its tables are too long")
        return dict(pairs)


def _read_zip(path: Path) -> object:
    with open_archive(path) as archive:
        members = archive.infolist()
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise pickle.UnpicklingError("it is compressed, as torch.save never does")
        if sum(member.file_size for member in members) > path.stat().st_size:
            raise pickle.UnpicklingError("its parts are larger than the file")
        pickles = [name for name in archive.namelist() if name.split("/")[-1] == "data.pkl"]
        if len(pickles) != 1:
            raise pickle.UnpicklingError("no data.pkl inside")
        root = pickles[0][: -len("data.pkl")]
        names = set(archive.namelist())
        if root + "byteorder" in names and archive.read(root + "byteorder") != b"little":
            raise pickle.UnpicklingError("it was written on a big-endian machine")

        def load(key: str, storage: LazyStorage) -> None:
            name = f"{root}data/{key}"
            if archive.getinfo(name).file_size != storage.count * storage.itemsize:
                raise pickle.UnpicklingError("a tensor is cut short")
            storage.fill(archive.read(name))

        return TensorReader(io.BytesIO(archive.read(pickles[0])), load).load()


def read_legacy(file: BinaryIO, length: int) -> object:
    """The content of the older container of `torch.save`, with tensors as `LazyTensor`.

    Args:
        file: Positioned at its start.
        length: Its bytes; no tensor can hold more.

    Raises:
        pickle.UnpicklingError: It is damaged, or holds something other than tensors.
    """

    def nothing_yet(key: str, storage: LazyStorage) -> None:
        """The data comes after the pickle in this container."""

    def unpickle() -> tuple[object, dict[str, LazyStorage]]:
        reader = TensorReader(file, nothing_yet)
        return reader.load(), reader.storages

    if unpickle()[0] != LEGACY_MAGIC:
        raise pickle.UnpicklingError("it does not start like a file of torch.save")
    unpickle()  # protocol version
    machine, _ = unpickle()
    if not isinstance(machine, dict) or machine.get("little_endian") is not True:
        raise pickle.UnpicklingError("it was written on a big-endian machine")
    content, storages = unpickle()
    keys, _ = unpickle()
    if not isinstance(keys, list) or any(
        type(key) is not str or key not in storages for key in keys
    ):
        raise pickle.UnpicklingError("its list of storages does not match its tensors")
    for key in keys:
        storage = storages[key]
        (count,) = struct.unpack("<q", file.read(8))
        if count != storage.count or count * storage.itemsize > length:
            raise pickle.UnpicklingError("a tensor is cut short")
        storage.fill(file.read(count * storage.itemsize))
    return content


def read_state_dict(path: str | Path) -> dict[str, np.ndarray]:
    """Read a state dict written by `torch.save`, in either container, without torch.

    Args:
        path: A `.pth` or `.pt` file holding a flat mapping from names to tensors, or one under the
            key `"state_dict"`.

    Returns:
        Tensor name to array, in PyTorch's layout (`(out, in, height, width)` for a convolution)
        and the file's dtype (bfloat16 as float32).

    Raises:
        UserError: The file is missing, damaged, or holds anything but tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file; expected a .pth of tensors written by torch.save")
    try:
        if zipfile.is_zipfile(path):
            content = _read_zip(path)
        else:
            with open(path, "rb") as file:
                content = read_legacy(file, path.stat().st_size)
        if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
            content = content["state_dict"]
        if not isinstance(content, dict) or not content:
            raise pickle.UnpicklingError("it does not hold a mapping from names to tensors")
        arrays = {}
        for name, value in content.items():
            if not isinstance(name, str) or not isinstance(value, LazyTensor):
                raise pickle.UnpicklingError(f"its entry {name!r} is not a tensor")
            arrays[sys.intern(name)] = value.array()
        return arrays
    except Exception as error:
        # A hostile pickle can fail in any way; each way means that it is not a table of tensors.
        reason = str(error) or type(error).__name__
        raise UserError(
            f"{path}: refused ({reason}); only plain tensors written by torch.save are read"
        ) from error
