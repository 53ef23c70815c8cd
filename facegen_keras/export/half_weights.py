"""ONNX files of half the size: weights kept as float16, and computed with as float32."""

import math
from typing import TYPE_CHECKING

import numpy as np

from facegen_keras.errors import require

if TYPE_CHECKING:
    import onnx

SMALLEST = 1024  # numbers; biases and the like would save nothing


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
        with np.errstate(over="ignore"):
            half = values.astype("float16")
        weight.CopyFrom(onnx.numpy_helper.from_array(half, f"{name}:half"))
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
