"""Read the files of official StyleGAN2 weights, without PyTorch and without executing their code.

NVIDIA's `stylegan2-ada-pytorch` and `stylegan3` repositories store networks as pickles that carry
their own source code and execute it when opened. This reader knows the few names such a pickle
needs, rebuilds tensors and plain containers, reads the persistent classes as mere records of their
state (their source is ignored), and refuses everything else by name before anything is called.
"""

import io
import math
import pickle
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from facegen_keras.errors import UserError
from facegen_keras.files.limits import check_npz, open_archive, unpacked_limit
from facegen_keras.files.safetensors_file import read_safetensors
from facegen_keras.files.torch_file import (
    LazyStorage,
    LazyTensor,
    TensorReader,
    read_legacy,
    read_size,
    read_state_dict,
)
from facegen_keras.models.stylegan2.official_names import OFFICIAL_NETWORKS, official_networks

State = dict[str, np.ndarray]
# The tensors of a network, and the settings that those do not show.
Network = tuple[State, dict[str, Any]]

# Settings that a `.safetensors` of this package holds as texts: see `official_settings`.
TEXT_SETTINGS = ("conv_clamp", "lr_multiplier")
# Networks stay far below these; they keep a small hostile file from growing without end.
MOST_TENSORS = 10_000
LONGEST_NAME = 200


def read_networks(path: Path) -> dict[str, Network]:
    """Those of the networks "G_ema", "G" and "D" that a file holds.

    Args:
        path: As for `import_nvidia`.

    Raises:
        UserError: The file is missing, of another kind, damaged, or holds something that is not a
            tensor or a plain value.
    """
    readers: dict[str, Callable[[Path], State]] = {
        ".npz": _read_npz,
        ".pt": read_state_dict,
        ".pth": read_state_dict,
    }
    if not path.is_file():
        raise UserError(f"{path}: no such file; expected a network.pkl or a state dict")
    if path.suffix == ".pkl":
        return _read_pickle(path)
    settings: dict[str, Any] = {}
    if path.suffix == ".safetensors":
        state, texts = read_safetensors(path)
        settings = _settings(path, texts)
    elif path.suffix in readers:
        state = readers[path.suffix](path)
    else:
        raise UserError(f"{path}: expected .pkl, .npz, .safetensors, .pt or .pth")
    return {name: (own, settings) for name, own in _by_network(path, state).items()}


def _settings(path: Path, texts: dict[str, str]) -> dict[str, Any]:
    """The settings among the texts of a `.safetensors`, where `facegen export` writes them."""
    try:
        found = {name: float(texts[name]) for name in TEXT_SETTINGS if name in texts}
        return {name: _positive(found, name) for name in found}
    except (TypeError, ValueError, pickle.UnpicklingError) as error:
        raise UserError(f"{path}: not a readable .safetensors ({_reason(error)})") from None


def _by_network(path: Path, state: State) -> dict[str, State]:
    """The tensors of each network under its own names; with prefixes, only those that have one."""
    networks = official_networks(state)
    if networks:
        return networks
    for name, value in state.items():
        if not _is_tensor_name(name):
            raise UserError(f"{path}: {name} is not a tensor of a StyleGAN2; remove it")
        networks.setdefault("D" if name.startswith("b") else "G", {})[name] = value
    return networks


def _read_npz(path: Path) -> State:
    try:
        with open_archive(path) as members:
            check_npz(members, unpacked_limit(path.stat().st_size))
        with np.load(path, allow_pickle=False) as archive:
            # Other arrays, such as latents or images to compare with, belong to no network.
            return {name: archive[name] for name in archive.files if _is_tensor_name(name)}
    except Exception as error:  # a damaged archive fails in many ways
        raise UserError(f"{path}: not a readable .npz ({_reason(error)})") from None


def _is_tensor_name(name: str) -> bool:
    prefixed = name.split("/")[0] in OFFICIAL_NETWORKS
    return prefixed or re.match(r"(mapping|synthesis|b\d+)\.", name) is not None


def _read_pickle(path: Path) -> dict[str, Network]:
    try:
        with open(path, "rb") as file:
            content = _NetworkReader(file, path.stat().st_size).load()
        if isinstance(content, _Persistent):
            content = {"G_ema": content}
        if not isinstance(content, dict):
            raise pickle.UnpicklingError("it holds no networks")
        networks: dict[str, Network] = {}
        for name in OFFICIAL_NETWORKS:
            module = content.get(name)
            if isinstance(module, _Persistent):
                networks[name] = {}, {}
                _collect(module, "", *networks[name], seen=set())
        if not networks:
            raise pickle.UnpicklingError("no network G_ema, G or D in it")
        return networks
    except Exception as error:  # a hostile pickle can fail in any way
        raise UserError(
            f"{path}: refused ({_reason(error)}); expected a StyleGAN2 pickle of "
            "stylegan2-ada-pytorch or stylegan3; nothing in it was executed"
        ) from None


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


# --- the pickle ---


@dataclass
class _Persistent:
    """A network or layer as the persistence wrapper stores it: a class name and its state."""

    class_name: str
    state: dict[str, Any]


class _EasyDict(dict):
    """Replaces `dnnlib.EasyDict`, a dict whose items are also attributes."""

    def __init__(self) -> None:
        """Empty: a pickle adds its items one by one."""


class _Name:
    """Replaces a name that is only looked up (a dtype, a device), never called."""

    def __init__(self, *_: Any) -> None:
        pass


class _Dtype(_Name):
    def __init__(self, name: str = "f8", *_: Any) -> None:
        self.name = name


def _persistent(meta: Any) -> _Persistent:
    if not isinstance(meta, dict) or meta.get("type") != "class":
        raise pickle.UnpicklingError("a persistent object without a class")
    name, state = meta.get("class_name"), meta.get("state")
    if not isinstance(name, str) or not isinstance(state, dict):
        raise pickle.UnpicklingError("a persistent object without a state")
    return _Persistent(name, state)


def _scalar(dtype: Any, raw: Any = b"") -> Any:
    """A NumPy scalar as a number."""
    known = isinstance(dtype, _Dtype) and isinstance(dtype.name, str)
    if not known or not isinstance(raw, bytes | str):
        raise pickle.UnpicklingError("a number of an unknown kind")
    kind = np.dtype(dtype.name)
    if kind.kind not in "fiub":
        raise pickle.UnpicklingError(f"a number of dtype {dtype.name}")
    raw = raw.encode("latin1") if isinstance(raw, str) else raw
    return np.frombuffer(raw, kind)[0].item()


def _nothing(*_: Any) -> None:
    """Replaces what is not needed: the device of a tensor, a set of names."""


class _NetworkReader(TensorReader):
    """The tensor reader, with the further names that a pickled network needs."""

    _ALLOWED: dict[tuple[str, str], Any] = {  # noqa: RUF012 - read only
        ("torch_utils.persistence", "_reconstruct_persistent_obj"): _persistent,
        ("dnnlib.util", "EasyDict"): _EasyDict,
        ("dnnlib", "EasyDict"): _EasyDict,
        ("builtins", "set"): _nothing,
        ("torch", "Size"): read_size,
        ("torch", "device"): _nothing,
        ("numpy", "dtype"): _Dtype,
        ("numpy.core.multiarray", "scalar"): _scalar,
        ("numpy._core.multiarray", "scalar"): _scalar,
        ("torch", "float32"): _Name,
        ("torch", "float16"): _Name,
    }

    _OF_TENSORS = (
        ("collections", "OrderedDict"),
        ("torch._utils", "_rebuild_tensor_v2"),
        ("torch._utils", "_rebuild_parameter"),
    )

    def __init__(self, file: BinaryIO, length: int) -> None:
        super().__init__(file, self._no_storage)
        self._left = length  # bytes that storages may still take

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("torch.storage", "_load_from_bytes"):
            return self._storage
        if (module, name) in self._ALLOWED:
            return self._ALLOWED[module, name]
        if (module, name) in self._OF_TENSORS:
            return super().find_class(module, name)
        if module.startswith("dnnlib.tflib"):
            raise pickle.UnpicklingError(
                f"it asks for {module}.{name}: a TensorFlow pickle; convert it first with "
                "legacy.py of stylegan2-ada-pytorch"
            )
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no StyleGAN2 needs")

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("it refers to data outside itself")

    def _storage(self, raw: Any) -> LazyStorage:
        """A tensor's memory: bytes in the older container of `torch.save`."""
        if not isinstance(raw, bytes):
            raise pickle.UnpicklingError("a storage without bytes")
        self._left -= len(raw)
        if self._left < 0:
            raise pickle.UnpicklingError("storages that share their bytes")
        storage = read_legacy(io.BytesIO(raw), len(raw))
        if not isinstance(storage, LazyStorage):
            raise pickle.UnpicklingError("not a storage")
        return storage

    @staticmethod
    def _no_storage(key: str, storage: LazyStorage) -> None:
        raise pickle.UnpicklingError("it refers to data outside itself")


def _collect(
    module: _Persistent, prefix: str, state: State, settings: dict[str, Any], seen: set[int]
) -> None:
    """Tensors of a module and of those inside under their official names; each module once."""
    inside = module.state
    if id(inside) in seen:
        raise pickle.UnpicklingError(f"{prefix} is a network layer in two places")
    seen.add(id(inside))
    for table in ("_parameters", "_buffers"):
        for name, tensor in _table(inside, table).items():
            if tensor is None:
                continue
            if not isinstance(tensor, LazyTensor):
                raise pickle.UnpicklingError(f"{_join(prefix, name)} is not a tensor")
            state[_join(prefix, name)] = tensor.array()
            if len(state) > MOST_TENSORS:
                raise pickle.UnpicklingError(f"more than {MOST_TENSORS} tensors")
    _note(module, settings)
    for name, child in _table(inside, "_modules").items():
        if child is None:
            continue
        if not isinstance(child, _Persistent):
            raise pickle.UnpicklingError(f"{_join(prefix, name)} is not a network layer")
        _collect(child, f"{_join(prefix, name)}.", state, settings, seen)


def _join(prefix: str, name: Any) -> str:
    if not isinstance(name, str) or len(prefix) + len(name) > LONGEST_NAME:
        raise pickle.UnpicklingError("a name that no network has")
    return prefix + name


def _table(state: dict[str, Any], name: str) -> dict[str, Any]:
    table = state.get(name, {})
    if not isinstance(table, dict):
        raise pickle.UnpicklingError(f"{name} of a layer is not a table")
    return table


def _note(module: _Persistent, settings: dict[str, Any]) -> None:
    """Record settings that the tensors do not show, and those that our layers do not support."""
    inside = module.state
    activation = inside.get("activation", "lrelu")
    if not isinstance(activation, str):
        raise pickle.UnpicklingError("an activation without a name")
    if activation not in ("lrelu", "linear"):
        settings["unknown"] = f"activation {activation!r}; only lrelu is known"
    if inside.get("c_dim"):
        settings["unknown"] = "a class-conditional network; only unconditional ones are read"
    if inside.get("conv_clamp") is not None:
        settings["conv_clamp"] = _positive(inside, "conv_clamp")
    if module.class_name == "MinibatchStdLayer" and inside.get("group_size"):
        settings["group_size"] = int(_positive(inside, "group_size"))
    if module.class_name == "MappingNetwork":
        first = _table(inside, "_modules").get("fc0")
        if isinstance(first, _Persistent) and "bias_gain" in first.state:
            settings["lr_multiplier"] = _positive(first.state, "bias_gain")


def _positive(state: dict[str, Any], name: str) -> float:
    value = state[name]
    if not isinstance(value, int | float) or not 0 < value < math.inf:
        raise pickle.UnpicklingError(f"{name} of a layer is not a positive number")
    return float(value)
