"""Functions of tensors as files for other runtimes: ONNX, LiteRT and TensorFlow's SavedModel.

Keras converts, with TensorFlow underneath. What is added here: names of inputs and outputs, what is
known about the model beside the graph, and the same bytes from the same model where the format
allows it (ONNX and LiteRT).
"""

import errno
import json
import os
import re
import warnings
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from facegen_keras.backend.types import Tensor
from facegen_keras.errors import UserError, require
from facegen_keras.files.atomic import write_text
from facegen_keras.startup import held_stderr, pass_on

OPSET = 15  # of ONNX; ONNX Runtime reads it from 1.10 (2021) on
METADATA_FILE = "facegen_metadata.json"
# How the converters of ONNX and LiteRT say which operation of TensorFlow's they do not know.
_MISSING = re.compile(r"(?:No Op registered for |['\s]tf\.)(\w+)")


@dataclass(frozen=True)
class Graph:
    """What a file computes.

    Attributes:
        inputs: Shapes of the float32 inputs by name; None stands for the free batch axis.
        function: From one tensor per input, in that order, to the outputs by name.
    """

    inputs: Mapping[str, tuple[int | None, ...]]
    function: Callable[..., dict[str, Tensor]]


def write_onnx(graph: Graph, path: Path, metadata: Mapping[str, str]) -> None:
    """Write a graph as one `.onnx`, with `metadata` among its properties.

    Raises:
        UserError: A package is missing, the backend is not TensorFlow, or ONNX lacks an operation.
    """
    require("tf2onnx", "onnx")
    onnx = require("onnx", "onnx")
    from facegen_keras.export.onnx_order import in_fixed_order

    _convert(graph, path, "onnx", opset_version=OPSET)
    model = onnx.load(path)
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:  # an operation that the converter left as it was
        raise _not_held("onnx", error) from None
    model = in_fixed_order(model)
    onnx.helper.set_model_props(model, dict(sorted(metadata.items())))
    model.producer_name = "facegen_keras"
    model.producer_version = metadata.get("facegen_keras_version", "")
    path.write_bytes(model.SerializeToString(deterministic=True))


def write_litert(graph: Graph, path: Path, metadata: Mapping[str, str]) -> None:
    """Write a graph as one `.tflite` of built-in operations, and `metadata` behind it.

    As TensorFlow Lite keeps files that belong to a model, the metadata is a zip archive at the end:
    `unzip -p model.tflite` prints it, and interpreters do not look there.

    Raises:
        UserError: The backend is not TensorFlow, or LiteRT lacks an operation.
    """
    _check_backend("litert")
    import tensorflow as tf

    # By default Keras allows TensorFlow's own operations too, which no small runtime has.
    builtins = {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]}
    _convert(graph, path, "litert", target_spec=builtins)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(zipfile.ZipInfo(METADATA_FILE), _as_json(metadata))  # dated 1980, always


def write_saved_model(graph: Graph, path: Path, metadata: Mapping[str, str]) -> None:
    """Write a graph as a SavedModel folder, with `metadata` in its `assets.extra`.

    Raises:
        UserError: The backend is not TensorFlow.
    """
    _convert(graph, path, "tf_saved_model")
    write_text(path / "assets.extra" / METADATA_FILE, _as_json(metadata))


class _Function(keras.Model):
    """A function as a Keras model, since that is what Keras exports.

    It keeps the function out of Keras's sight. Keras would trace each network inside it again to
    look for lookup tables, which took half of the time.
    """

    def __init__(self, function: Callable[..., dict[str, Tensor]]) -> None:
        super().__init__(name="facegen")
        self._hidden = lambda *inputs: function(*inputs)
        self.built = True

    def call(self, *inputs: Tensor) -> dict[str, Tensor]:
        return self._hidden(*inputs)


def _convert(graph: Graph, path: Path, format: str, **options: Any) -> None:
    _check_backend(format)
    signature = [
        keras.InputSpec("float32", shape=shape, name=name) for name, shape in graph.inputs.items()
    ]
    model = _Function(graph.function)
    # Beside the error that they raise, the converters write many lines about it to stderr.
    with held_stderr() as held, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the converters' own code
        try:
            model.export(path, format=format, input_signature=signature, verbose=False, **options)
        except (UserError, OSError):
            raise
        except Exception as error:  # each converter has errors of its own
            raise _not_held(format, error) from error
    pass_on(held)


def _check_backend(format: str) -> None:
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise UserError(
            f"format {format}: written on TensorFlow, not on {backend}; set "
            "KERAS_BACKEND=tensorflow, which opens the same model files"
        )


def _not_held(format: str, error: Exception) -> UserError | OSError:
    """The error of a converter in one line; a full disk as such, told with the name of the file."""
    text = str(error).strip() or type(error).__name__
    if full := next((n for n in (errno.ENOSPC, errno.EDQUOT) if os.strerror(n) in text), None):
        return OSError(full, os.strerror(full))
    missing = _MISSING.search(text)
    reason = f"it has no operation {missing[1]}" if missing else text.splitlines()[0][:200]
    return UserError(f"format {format}: cannot hold this model ({reason}); try another format")


def _as_json(metadata: Mapping[str, str]) -> str:
    return json.dumps(dict(sorted(metadata.items())), ensure_ascii=False, indent=1)
