"""Read what an exported model file contains, without building anything from it.

A Keras file names classes, and opening it builds them. This module reads the names as plain JSON
and compares them with what a generator may contain: the layers of `keras.layers` and the registered
layers of this package. Everything else is refused by name before Keras opens the file.
"""

import json
import os
import re
import sys
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import h5py

from facegen_keras.errors import UserError, check_path, reason_of
from facegen_keras.files.h5_file import DAMAGE, check_crc32, check_sizes, is_intact, read_text
from facegen_keras.files.limits import (
    MOST_TEXT,
    open_archive,
    open_member,
    read_member,
    unpacked_limit,
)
from facegen_keras.registration import FAMILIES

METADATA = (
    "facegen_metadata"  # HDF5 attribute of an .h5; member `facegen_metadata.json` of a .keras
)
PACKAGE = "facegen_keras"
SUFFIXES = (".h5", ".keras")
MOST_MEMBERS = 1000  # of a .keras archive, which has five
PIECE = 2**20  # bytes

# Public layers that run code, or read files named in their configuration.
_EXECUTES = {
    "FlaxLayer",
    "JaxLayer",
    "Lambda",
    "StringLookup",
    "TFSMLayer",
    "TextVectorization",
    "TorchModuleWrapper",
    "IntegerLookup",
}
_CONTAINERS = {"Functional", "Model", "Sequential", "InputLayer"}
_CONTAINER_MODULES = {
    "keras",
    "keras.models",
    "keras.src.models.functional",
    "keras.src.models.model",
    "keras.src.models.sequential",
}
# Plain values that Keras writes like a class.
_VALUES = {"__keras_tensor__", "__tensor__", "__numpy__", "__tuple__", "__ellipsis__"}
_PART_MODULES = ("initializers", "regularizers", "constraints")

CHANGED = "{}: damaged, its content is not what was exported; export it again"


@dataclass(frozen=True)
class ModelFile:
    """What is known of a model file before it is opened.

    Attributes:
        path: The file.
        config: Keras's configuration of the model, as plain JSON.
        metadata: Written by this package at export; empty for any other Keras file.
        numbers: How many there are in its arrays, the weights among them.
    """

    path: Path
    config: dict
    metadata: dict = field(default_factory=dict)
    numbers: int = 0


def read_model_file(path: str | os.PathLike, force: bool = False) -> ModelFile:
    """Read and check a `.h5` or `.keras` file without building or executing anything in it.

    Args:
        path: The file.
        force: Warn of a wrong checksum, instead of refusing it.

    Raises:
        UserError: The file is missing, damaged or of another kind, would fill the memory, or names
            a class that a generator may not contain.
    """
    file, intact = _read(path, force)
    try:
        _judge(file.config)
    except RecursionError:
        raise UserError(f"{path}: its model configuration is nested too deeply") from None
    except _Refused as refused:
        raise UserError(f"{path}: refused, {refused}; nothing in it was executed") from None
    if not intact:
        complain(CHANGED.format(path), force)
    return file


def read_description(path: str | os.PathLike) -> ModelFile:
    """`read_model_file` for who knows every class that it goes on with: the others are not judged,
    which would need Keras.

    Raises:
        UserError: As for `read_model_file`.
    """
    file, intact = _read(path)
    if not intact:
        complain(CHANGED.format(path), force=False)
    return file


def _read(path: str | os.PathLike, force: bool = False) -> tuple[ModelFile, bool]:
    """What a file says of itself, and whether its content is what was exported."""
    check_path("model_path", path)
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path}: no such file; train a model first or name an existing .h5 file")
    if path.is_dir():
        raise UserError(f"{path}: a folder; name an .h5 or .keras file in it")
    if path.suffix not in SUFFIXES or not path.is_file():  # reading a FIFO would never end
        raise UserError(f"{path}: not a model file; expected .h5 or .keras")
    if path.suffix == ".h5" and not _has_right_bytes(path):
        complain(CHANGED.format(path), force)
    file, intact = (_read_h5 if path.suffix == ".h5" else _read_keras)(path)
    _check_metadata(file)
    return file, intact


def _check_metadata(file: ModelFile) -> None:
    """Refuse what would become part of a path, or fail later.

    Raises:
        UserError: The family is no name, or the training no table.
    """
    family, training = file.metadata.get("family"), file.metadata.get("training")
    if family is not None and not (isinstance(family, str) and re.fullmatch(r"[\w-]*", family)):
        raise UserError(f"{file.path}: its metadata name the family {family!r}; export it again")
    if training is not None and not isinstance(training, dict):
        raise UserError(f"{file.path}: its metadata are not readable (training); export it again")


def first_input_shape(config: dict) -> tuple | None:
    """The shape of a model's first input, with the batch axis, from its configuration."""
    inner = config["config"]
    for layer in inner.get("layers", []) if isinstance(inner, dict) else []:
        if isinstance(layer, dict) and isinstance(layer.get("config"), dict):
            settings = layer["config"]
            shape = settings.get("batch_shape") or settings.get("batch_input_shape")
            if shape:
                return tuple(shape)
            if layer.get("class_name") in _CONTAINERS:
                return first_input_shape(layer)
    return None


def complain(message: str, force: bool) -> None:
    """Tell of damage that does not keep a model from being opened.

    Raises:
        UserError: Unless `force`.
    """
    if not force:
        raise UserError(f"{message}, or look at it anyway with --force (in Python force=True)")
    print(f"warning: {message}", file=sys.stderr)


class _Refused(Exception):
    pass


def _has_right_bytes(path: Path) -> bool:
    """Asked before HDF5 opens the file: some damage makes it loop forever."""
    try:
        with open(path, "rb") as file:
            check_crc32(file)
    except ValueError:
        return False
    return True


def _read_h5(path: Path) -> tuple[ModelFile, bool]:
    """What it says of itself, and whether the content is what was exported, as far as is known."""
    try:
        with h5py.File(path, "r") as file:
            numbers = check_sizes(file, unpacked_limit(path.stat().st_size))
            config, metadata = read_text(file, "model_config"), read_text(file, METADATA)
            has_weights = "model_weights" in file
            intact = is_intact(file) is not False
    except OSError as error:
        if "unable to lock" in str(error):
            raise UserError(f"{path}: another program is writing it; close that first") from None
        if error.errno:  # of the file system, not of its content
            raise UserError(f"{path}: cannot be read ({os.strerror(error.errno)})") from None
        reason = "a truncated .h5 file" if "truncated" in str(error) else "not an HDF5 file"
        raise UserError(f"{path}: {reason}; copy or export it again") from None
    except (UserError, MemoryError):
        raise
    except DAMAGE as error:
        raise UserError(
            f"{path}: a damaged .h5 file ({reason_of(error)}); copy or export it again"
        ) from None
    if config is None or not has_weights:
        raise UserError(
            f"{path}: HDF5 without a Keras model (perhaps weights only, or a checkpoint); "
            "expected a file written by save_generator or model.save"
        )
    texts = _json(config, path, "model configuration"), _json(metadata, path, "metadata")
    return ModelFile(path, *texts, numbers), intact


def _read_keras(path: Path) -> tuple[ModelFile, bool]:
    """As `_read_h5`, of a `.keras`, whose zip has a checksum of every member."""
    most = unpacked_limit(path.stat().st_size)
    try:
        with open_archive(path) as archive:
            names = archive.namelist()
            if not {"config.json", "model.weights.h5"} <= set(names):
                raise UserError(f"{path}: a zip archive without a Keras model")
            if len(set(names)) < len(names) or len(names) > MOST_MEMBERS:
                raise ValueError("a name twice, or too many")
            config = read_member(archive, "config.json", MOST_TEXT)
            name = f"{METADATA}.json"
            metadata = read_member(archive, name, MOST_TEXT) if name in names else None
            if sum(member.file_size for member in archive.infolist()) > most:
                raise ValueError(f"its members are larger than {most:,} bytes")
            with (
                open_member(archive, "model.weights.h5") as weights,
                h5py.File(weights, "r") as file,
            ):
                numbers = check_sizes(file, most)
            intact = not _has_wrong_checksum(archive)
    except (UserError, PermissionError, MemoryError):
        raise
    except (*DAMAGE, EOFError, zlib.error, zipfile.BadZipFile):
        raise UserError(f"{path}: not a readable .keras archive; export it again") from None
    texts = _json(config, path, "model configuration"), _json(metadata, path, "metadata")
    return ModelFile(path, *texts, numbers), intact


def _has_wrong_checksum(archive: zipfile.ZipFile) -> bool:
    """Whether a member differs from its checksum; Keras reads the weights without a look at it."""
    try:
        for name in archive.namelist():
            with open_member(archive, name) as member:
                while member.read(PIECE):
                    pass
    except (zipfile.BadZipFile, EOFError, zlib.error):
        return True
    return False


def _json(text: str | bytes | None, path: Path, what: str) -> dict:
    if text is None:
        return {}
    try:
        value = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise UserError(f"{path}: its {what} is not readable; export it again")
    return value


def _judge(config: dict) -> None:
    """Refuse a model configuration that names anything but layers and their parts."""
    if config.get("class_name") not in _CONTAINERS or not isinstance(config.get("config"), dict):
        name = config.get("class_name")
        raise _Refused(f"the class {name!r} is not a functional model of layers")
    # `load_model(compile=False)` ignores this entry.
    _walk({key: value for key, value in config.items() if key != "compile_config"})


def _walk(value: object) -> None:
    if isinstance(value, list):
        for item in value:
            _walk(item)
    elif isinstance(value, dict):
        if "class_name" in value:
            _judge_class(value)
        for item in value.values():
            _walk(item)


def _judge_class(entry: dict) -> None:
    name, module = entry["class_name"], entry.get("module")
    registered = entry.get("registered_name")
    if not isinstance(name, str):
        raise _Refused(f"{name!r} is not a class name")
    if name in _EXECUTES or name == "__lambda__":
        raise _Refused(f"it holds a {name} layer, which can run code of its own")
    if name in _VALUES:
        return
    import keras  # here: reading what a file says of itself needs no Keras

    key = registered or name
    if key in keras.saving.get_custom_objects():
        # A registered class wins over a built-in one, so only this package's may be named.
        if key.startswith(f"{PACKAGE}>") and key.partition(">")[2] not in FAMILIES:
            return
    elif registered in (None, name) and _is_builtin(name, module):
        return
    raise _Refused(
        f"it holds the unknown class {key!r}; allowed are keras.layers and those of {PACKAGE}"
    )


def _is_builtin(name: str, module: object) -> bool:
    """Whether a class of this name is a public Keras layer, policy, initializer or the like."""
    import keras

    if name in _CONTAINERS:
        return module is None or module in _CONTAINER_MODULES or module == "keras.layers"
    if module in (None, "keras.layers") and _is_subclass(keras.layers, name, keras.layers.Layer):
        return True
    if module in (None, "keras", "keras.dtype_policies") and name in ("DTypePolicy", "Policy"):
        return True
    return any(
        module in (None, f"keras.{part}") and isinstance(getattr(owner, name, None), type)
        for part, owner in ((part, getattr(keras, part)) for part in _PART_MODULES)
    )


def _is_subclass(owner: object, name: str, base: type) -> bool:
    candidate = getattr(owner, name, None)
    return isinstance(candidate, type) and issubclass(candidate, base)
