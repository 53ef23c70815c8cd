"""Files of half the size: weights kept as float16, and computed with as float32."""

import math
import os
from typing import TYPE_CHECKING

import h5py
import numpy as np

from facegen_keras.errors import require
from facegen_keras.export.model_file import METADATA, read_model_file
from facegen_keras.export.prior import NAME as PRIOR
from facegen_keras.export.write import attach_metadata
from facegen_keras.files.h5_file import copy_member, copy_without

if TYPE_CHECKING:
    import onnx

SMALLEST = 1024  # numbers; biases and the like would save nothing
WEIGHTS = "model_weights"  # the group of an .h5 that Keras keeps them in


def as_half(weights: np.ndarray) -> np.ndarray:
    """Large float32 arrays as float16, others as they are. Those above 65,504 become infinite."""
    if weights.dtype != np.float32 or weights.size < SMALLEST:
        return weights
    with np.errstate(over="ignore"):
        return weights.astype("float16")


def write_halves(
    source: str | os.PathLike, target: str | os.PathLike, prior_too: bool = True
) -> None:
    """Write an exported `.h5` again, its large weights as float16 and compressed.

    Keras and this package open it as before: a weight becomes float32 again when it is read.

    Args:
        source: The file.
        target: The new file.
        prior_too: Also the mixture that latents are drawn from, if the file holds one.
    """
    halved = (WEIGHTS, PRIOR) if prior_too else (WEIGHTS,)

    def copy(old: h5py.File, name: str, new: h5py.File) -> None:
        if name in halved:
            _halve(old[name], new.create_group(name))
        else:
            copy_member(old, name, new)

    metadata = {**read_model_file(source).metadata, "weights_kept_as": "float16"}
    copy_without(METADATA, source, target, copy)
    attach_metadata(target, metadata)


def _halve(old: h5py.Group, new: h5py.Group) -> None:
    """Copy a group with all that is in it, large arrays as float16."""
    for name, value in old.attrs.items():
        new.attrs[name] = value
    for name, item in old.items():
        if isinstance(item, h5py.Group):
            _halve(item, new.create_group(name))
            continue
        kept = as_half(item[()])
        packed = {"compression": "gzip", "shuffle": True} if kept.dtype == np.float16 else {}
        new.create_dataset(name, data=kept, **packed)


def with_half_weights(model: "onnx.ModelProto") -> "onnx.ModelProto":
    """A copy whose large weights are float16, each converted to float32 where it is used.

    Runtimes convert once, when they load the file. Weights keep 11 binary digits; those above
    65,504 become infinite.
    """
    onnx = require("onnx", "web")
    copy = type(model).FromString(model.SerializeToString())
    casts = []
    for weight in copy.graph.initializer:
        if weight.data_type != onnx.TensorProto.FLOAT or math.prod(weight.dims) < SMALLEST:
            continue
        name, values = weight.name, onnx.numpy_helper.to_array(weight)
        weight.CopyFrom(onnx.numpy_helper.from_array(as_half(values), f"{name}:half"))
        casts.append(
            onnx.helper.make_node(
                "Cast", [weight.name], [name], f"{name}:cast", to=onnx.TensorProto.FLOAT
            )
        )
    nodes = [*casts, *copy.graph.node]
    kept = [type(node).FromString(node.SerializeToString()) for node in nodes]
    del copy.graph.node[:]
    copy.graph.node.extend(kept)
    return copy
