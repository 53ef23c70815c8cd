"""ONNX graphs in an order and under names that are the same in every run.

The converter counts names through a whole process and goes through Python sets, so that the same
model gave different bytes every time.
"""

import math
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

BATCH = "n"  # the name of the free axis


def in_fixed_order(model: "onnx.ModelProto") -> "onnx.ModelProto":
    """The same model with its nodes in the order in which its outputs need them.

    Nodes and what they compute are named after their layer, weights after the node that first uses
    them, and the free first axis of inputs and outputs `n`. A node without weights of its own, of
    which the converter may have merged several layers' into one, is named after the layer that its
    first input comes from. A graph with graphs inside (loops) is returned as it is.
    """
    graph = model.graph
    if any(a.HasField("g") or a.graphs for node in graph.node for a in node.attribute):
        return model
    weights = {weight.name: weight for weight in graph.initializer}
    names = {value.name: value.name for value in (*graph.input, *graph.output)}
    taken: dict[str, int] = {}
    layers: dict[str, str] = {}  # by the names that the graph came with
    nodes, used = _as_needed(graph), []
    for node in nodes:
        own = any(name in weights and _is_weight(weights[name]) for name in node.input)
        layer = _layer(node.name) if own else layers.get(node.input[0] if node.input else "", "")
        layers |= dict.fromkeys(node.output, layer)
        label = _unique(f"{layer}{node.op_type}", taken)
        for index, name in enumerate(node.input):
            if name in weights and name not in names:
                names[name] = f"{label}:{index}"
                used.append(weights[name])
        for index, name in enumerate(node.output):
            names.setdefault(name, label if index == 0 else f"{label}.{index}")
        node.name = label
        node.input[:] = [names[name] if name else name for name in node.input]
        node.output[:] = [names[name] if name else name for name in node.output]
        attributes = sorted(node.attribute, key=lambda attribute: attribute.name)
        del node.attribute[:]
        node.attribute.extend(attributes)
    for weight in used:
        weight.name = names[weight.name]
    for repeated, wanted in ((graph.node, nodes), (graph.initializer, used)):
        kept = [type(item).FromString(item.SerializeToString()) for item in wanted]
        del repeated[:]
        repeated.extend(kept)
    del graph.value_info[:]
    graph.name, graph.doc_string = "facegen", ""  # the converter writes a count into the latter
    _tidy(model)
    return model


def _as_needed(graph: "onnx.GraphProto") -> list["onnx.NodeProto"]:
    """The nodes that the outputs need, each after those that it needs itself."""
    makers = {name: node for node in graph.node for name in node.output}
    ordered, seen = [], set()
    stack = [(makers[value.name], False) for value in reversed(graph.output)]
    while stack:
        node, ready = stack.pop()
        if ready:
            ordered.append(node)
        elif node.output[0] not in seen:
            seen.add(node.output[0])
            stack.append((node, True))
            stack += [(makers[name], False) for name in reversed(node.input) if name in makers]
    return ordered


def _is_weight(tensor: "onnx.TensorProto") -> bool:
    """Whether it is of a layer of its own, unlike indices and factors, which layers share."""
    return tensor.data_type == tensor.FLOAT and math.prod(tensor.dims) > 1


def _layer(name: str) -> str:
    """The layer in the name of a node: `facegen_1/synthesis_1/b8_conv0_1/Mul__37` as
    `synthesis/b8_conv0/`. TensorFlow numbers the scopes, and the first is the whole model.
    """
    scopes = name.split("/")[1:-1]
    return "".join(re.sub(r"_\d+$", "", scope) + "/" for scope in scopes)


def _unique(label: str, taken: dict[str, int]) -> str:
    taken[label] = taken.get(label, 0) + 1
    return label if taken[label] == 1 else f"{label}.{taken[label]}"


def _tidy(model: "onnx.ModelProto") -> None:
    """Name the free axis, and leave out operator sets that nothing uses."""
    for value in (*model.graph.input, *model.graph.output):
        axes = value.type.tensor_type.shape.dim
        if axes and not axes[0].HasField("dim_value"):
            axes[0].dim_param = BATCH
    domains = {node.domain for node in model.graph.node}
    kept = [
        (entry.domain, entry.version) for entry in model.opset_import if entry.domain in domains
    ]
    del model.opset_import[:]
    for domain, version in sorted(kept):
        entry = model.opset_import.add()
        entry.domain, entry.version = domain, version
