"""The order and names of ONNX graphs do not depend on those that the converter happened to give."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from facegen_keras.export.onnx_order import in_fixed_order

A, B = np.full((2, 3), 2, "float32"), np.full(3, 5, "float32")


def converted(prefix: str, count: int, backwards: bool) -> onnx.ModelProto:
    """`leaky_relu(latent @ A + B)` with an unused node, as a converter may have written it."""
    scope = f"{prefix}/dense_1"
    nodes = [
        helper.make_node("MatMul", ["latent", f"a__{count}"], [f"{scope}/MatMul:0"], f"{scope}/M"),
        helper.make_node("Add", [f"{scope}/MatMul:0", "b:0"], ["sum:0"], f"{scope}/Add__{count}"),
        helper.make_node("LeakyRelu", ["sum:0"], ["images"], f"{prefix}/other/L", alpha=0.2),
    ]
    unused = helper.make_node("Neg", ["latent"], [f"unused__{count}"], "unused")
    shape = [f"unk__{count}", 2]
    graph = helper.make_graph(
        [unused, *nodes] if backwards else [*nodes, unused],
        "graph",
        [helper.make_tensor_value_info("latent", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [f"unk__{count}", 3])],
        [numpy_helper.from_array(A, f"a__{count}"), numpy_helper.from_array(B, "b:0")][
            :: -1 if backwards else 1
        ],
        doc_string=f"number {count}",
    )
    versions = [helper.make_opsetid("ai.onnx.ml", 2), helper.make_opsetid("", 15)]
    return helper.make_model(graph, opset_imports=versions, ir_version=8)


def test_the_same_graph_gives_the_same_bytes():
    one = in_fixed_order(converted("facegen_1", 7, backwards=False))
    other = in_fixed_order(converted("facegen", 31, backwards=True))
    assert one.SerializeToString() == other.SerializeToString()
    onnx.checker.check_model(one)
    names = [node.name for node in one.graph.node]
    assert names == ["dense/MatMul", "dense/Add", "dense/LeakyRelu"]
    weights = {w.name: numpy_helper.to_array(w) for w in one.graph.initializer}
    np.testing.assert_array_equal(weights["dense/MatMul:1"], A)
    np.testing.assert_array_equal(weights["dense/Add:1"], B)
    assert one.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "n"
    assert [entry.domain for entry in one.opset_import] == [""]


def test_it_computes_what_it_computed():
    from onnxruntime import InferenceSession

    before = converted("facegen_1", 7, backwards=True)
    sessions = [
        InferenceSession(m.SerializeToString(), providers=["CPUExecutionProvider"])
        for m in (before, in_fixed_order(converted("facegen_1", 7, backwards=True)))
    ]
    z = np.array([[1, -4], [3, 4]], "float32")
    results = [session.run(["images"], {"latent": z})[0] for session in sessions]
    np.testing.assert_array_equal(*results)
    np.testing.assert_allclose(results[0], [[-0.2] * 3, [19] * 3], rtol=1e-6)
