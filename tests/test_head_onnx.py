"""The head's operators in ONNX: the same file with canthus's library and without it, both against float64."""

import numpy as np
import pytest

import head_inputs
from scan_inputs import error

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("torch")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from canthus.errors import ExportError  # noqa: E402
from canthus_exporter.operators import add_function_bodies  # noqa: E402
from onnx_session import LIBRARIES, open_session  # noqa: E402

OPERATORS = {"mco_mamba": ("McoMamba", 1), "mcib": ("Mcib", 1), "routed_experts": ("RoutedExperts", 2)}


def make_model(name, inputs, prefix=""):
    """One node; its first input comes from outside, all others are weights. The batch is free."""
    op_type, outputs = OPERATORS[name]
    x, *weights = inputs
    names = [f"{prefix}{i}" for i in range(len(inputs))]
    results = [f"{prefix}result {i}" for i in range(outputs)]
    graph = helper.make_graph(
        [helper.make_node(op_type, names, results, name=f"{prefix}node", domain="canthus")],
        "graph",
        [helper.make_tensor_value_info(names[0], TensorProto.FLOAT, ["batch", *x.shape[1:]])],
        [helper.make_tensor_value_info(result, TensorProto.FLOAT, [None] * x.ndim) for result in results],
        [numpy_helper.from_array(weight, name) for name, weight in zip(names[1:], weights, strict=True)],
    )
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("canthus", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def run(model, library, feed, optimized=None):
    return open_session(model, library, optimized).run(None, feed)


@LIBRARIES
@pytest.mark.parametrize("int8", [False, True], ids=["float32", "int8"])
@pytest.mark.parametrize("name", OPERATORS)
def test_one_file_both_ways(name, int8, library, tmp_path):
    if int8 and name == "mco_mamba":
        pytest.skip("it has no matrix that may be int8")
    case = {"int8": int8} if name != "mco_mamba" else {}
    inputs = getattr(head_inputs, f"{name}_inputs")(**case)
    model = make_model(name, inputs)
    add_function_bodies(model)
    onnx.checker.check_model(model)
    wanted = getattr(head_inputs, name)(*inputs)
    for got, one in zip(run(model, library, {"0": inputs[0]}, tmp_path / "run.onnx"), wanted, strict=True):
        assert error(got, one) <= 1e-5
    (one, *_) = run(model, library, {"0": inputs[0][:1]})
    assert error(one, wanted[0][:1]) <= 2e-5
    kinds = {node.op_type for node in onnx.load(tmp_path / "run.onnx").graph.node}
    assert (OPERATORS[name][0] in kinds) == bool(library)


@LIBRARIES
def test_two_sizes_in_one_model(library):
    cases = [head_inputs.mcib_inputs(tokens=20), head_inputs.mcib_inputs(tokens=33, width=6, seed=1)]
    models = [make_model("mcib", inputs, prefix) for inputs, prefix in zip(cases, "ab", strict=True)]
    model = onnx.compose.merge_models(*models, io_map=[])
    add_function_bodies(model)
    assert len({function.overload for function in model.functions}) == len(model.functions) == 2
    results = run(model, library, {"a0": cases[0][0], "b0": cases[1][0]})
    for got, inputs in zip(results, cases, strict=True):
        assert error(got, head_inputs.mcib(*inputs)[0]) <= 1e-5


def test_what_does_not_fit_is_named():
    inputs = head_inputs.mcib_inputs()
    inputs[5] = inputs[5][:, :-4].copy()
    with pytest.raises(Exception, match=r"mcib: fusion_weight must have shape \(24, 280\), got \(24, 276\)"):
        run(make_model("mcib", inputs), "canthus_ops", {"0": inputs[0]})
    inputs[5] = inputs[5].astype(np.float16)
    with pytest.raises(Exception, match=r"mcib: fusion_weight must"):
        run(make_model("mcib", inputs), "canthus_ops", {"0": inputs[0]})


def test_a_body_needs_known_sizes():
    model = make_model("mcib", head_inputs.mcib_inputs())
    del model.graph.initializer[4]
    with pytest.raises(ExportError, match=r"Mcib node 'node': the shape of 5 isn't known"):
        add_function_bodies(model)
    other = make_model("mcib", head_inputs.mcib_inputs())
    other.graph.node[0].op_type = "Mcob"
    with pytest.raises(ExportError, match="canthus has no such operator"):
        add_function_bodies(other)
