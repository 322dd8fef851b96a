"""SelectiveScan in ONNX: the same file with canthus's library and without it, both against float64."""

import re

import numpy as np
import pytest

from scan_inputs import error, make_inputs, recurrence

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
torch = pytest.importorskip("torch")
from onnx import TensorProto, helper  # noqa: E402

from canthus import _native  # noqa: E402
from canthus.errors import ExportError  # noqa: E402
from canthus_exporter import selective_scan_body  # noqa: E402
from canthus_exporter.operators import add_function_bodies, custom_translation_table  # noqa: E402
from canthus_model.selective_scan import selective_scan  # noqa: E402
from onnx_session import LIBRARIES, open_session  # noqa: E402

NAMES = ("u", "delta", "A", "B", "C", "D", "z", "delta_bias")
CASES = [
    {"batch": 1, "channels": 8, "tokens": 500, "groups": 1, "B_rank": 3, "C_rank": 3},
    {"batch": 3, "channels": 12, "tokens": 65, "groups": 4, "states": 5},
    {"tokens": 64, "B_rank": 2, "C_rank": 4},
    {"tokens": 33, "B_rank": 4, "C_rank": 2, "optional": False},
    {"tokens": 1, "B_rank": 2, "C_rank": 2, "states": 1},
]
TYPES = {TensorProto.FLOAT: 1e-5, TensorProto.FLOAT16: 5e-4, TensorProto.BFLOAT16: 4e-3}


def make_model(inputs, data_type=TensorProto.FLOAT, tokens=None, with_state=True):
    """One SelectiveScan node; its graph's inputs and outputs are float32 and cast to the data type inside."""
    arrays = {name: inputs[name] for name in NAMES if name in inputs}
    values, nodes, known = [], [], []
    for name, array in arrays.items():
        shape = list(array.shape)
        if array.ndim > 2:
            shape[0] = "batch"
            shape[-1] = tokens or shape[-1]
        cast = array.ndim > 2 and data_type != TensorProto.FLOAT
        values.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        if cast:
            nodes.append(helper.make_node("Cast", [name], [name + "_cast"], to=data_type))
            known.append(helper.make_tensor_value_info(name + "_cast", data_type, shape))
    cast_names = {value.name.removesuffix("_cast"): value.name for value in known}
    node_inputs = [cast_names.get(name, name) if name in arrays else "" for name in NAMES]
    nodes.append(
        helper.make_node(
            "SelectiveScan",
            node_inputs if "D" in arrays else node_inputs[:5],
            ["y_scan", "last_state"] if with_state else ["y_scan"],
            name="scan",
            domain="canthus",
            delta_softplus=int(inputs["delta_softplus"]),
        )
    )
    nodes.append(helper.make_node("Cast", ["y_scan"], ["y"], to=TensorProto.FLOAT))
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None] * 3)]
    if with_state:
        outputs.append(helper.make_tensor_value_info("last_state", TensorProto.FLOAT, [None] * 3))
    graph = helper.make_graph(nodes, "graph", values, outputs, value_info=known)
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("canthus", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10), arrays


def assert_near_recurrence(model, feed, inputs, data_type, library):
    y, state = open_session(model, library).run(["y", "last_state"], feed)
    dtype = helper.tensor_dtype_to_np_dtype(data_type)
    rounded = {n: v.astype(dtype) if n in feed and v.ndim > 2 else v for n, v in inputs.items()}
    expected_y, expected_state = recurrence(**rounded)
    assert error(y, expected_y) <= TYPES[data_type]
    assert error(state, expected_state) <= 1e-5


@LIBRARIES
@pytest.mark.parametrize("data_type", TYPES, ids=TensorProto.DataType.Name)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_one_file_both_ways(case, data_type, library):
    inputs = make_inputs(**case)
    model, feed = make_model(inputs, data_type)
    add_function_bodies(model)
    onnx.checker.check_model(model)
    assert_near_recurrence(model, feed, inputs, data_type, library)


@pytest.mark.parametrize("data_type", TYPES, ids=TensorProto.DataType.Name)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_tokens_in_blocks(case, data_type, monkeypatch):
    """As where there are more than a body takes at once."""
    monkeypatch.setattr(selective_scan_body, "WHOLE", 0)
    inputs = make_inputs(**case)
    model, feed = make_model(inputs, data_type)
    add_function_bodies(model)
    onnx.checker.check_model(model)
    assert "Scan" in {node.op_type for function in model.functions for node in function.node}
    assert_near_recurrence(model, feed, inputs, data_type, None)


def test_in_blocks_any_number_of_tokens_will_do_and_the_file_does_not_grow():
    model, _ = make_model(make_inputs(tokens=70), tokens="tokens")
    add_function_bodies(model, max_tokens=1 << 20)
    session = open_session(model, None)
    for tokens in (1, 31, 32, 33, 2000):
        inputs = make_inputs(tokens=tokens, batch=tokens % 3 + 1)
        y, state = session.run(None, {n: v for n, v in inputs.items() if n in NAMES})
        expected, expected_state = recurrence(**inputs)
        assert error(y, expected) <= 1e-5 and error(state, expected_state) <= 1e-5
    size = model.ByteSize()
    add_function_bodies(model, max_tokens=513)
    assert model.ByteSize() == size


@LIBRARIES
def test_kernel_takes_over_from_body(library, tmp_path):
    """What runs is the kernel if and only if the library is registered; then bit for bit the numpy face's."""
    inputs = make_inputs()
    model, feed = make_model(inputs, with_state=False)
    add_function_bodies(model)
    (y,) = open_session(model, library, tmp_path / "optimized.onnx").run(None, feed)
    operators = {node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node}
    assert ("SelectiveScan" in operators) == bool(library)
    assert ("Concat" in operators) != bool(library)
    assert np.array_equal(y, _native.selective_scan(**inputs)) == (library == "canthus_ops")


@LIBRARIES
def test_two_signatures_in_one_model(library):
    first, feed = make_model(make_inputs(optional=False), with_state=False)
    other_inputs = make_inputs(B_rank=2, tokens=20, seed=1)
    other, other_feed = make_model(other_inputs)
    model = onnx.compose.merge_models(
        onnx.compose.add_prefix(first, "a_"), onnx.compose.add_prefix(other, "b_"), io_map=[]
    )
    add_function_bodies(model)
    add_function_bodies(model)  # a second time it replaces what it added
    assert len({function.overload for function in model.functions}) == len(model.functions) == 2
    feed = {f"a_{n}": v for n, v in feed.items()} | {f"b_{n}": v for n, v in other_feed.items()}
    y, other_y = open_session(model, library).run(["a_y", "b_y"], feed)
    assert error(y, recurrence(**make_inputs(optional=False))[0]) <= 1e-5
    assert error(other_y, recurrence(**other_inputs)[0]) <= 1e-5


@LIBRARIES
def test_fewer_tokens_than_the_body_is_made_for(library):
    model, _ = make_model(make_inputs(tokens=70), tokens="tokens")
    with pytest.raises(ExportError, match="give max_tokens"):
        add_function_bodies(model)
    add_function_bodies(model, max_tokens=70)
    session = open_session(model, library)
    for tokens in (1, 2, 31, 64, 70):
        inputs = make_inputs(tokens=tokens, batch=tokens % 3 + 1)
        y, state = session.run(None, {n: v for n, v in inputs.items() if n in NAMES})
        expected, expected_state = recurrence(**inputs)
        assert error(y, expected) <= 1e-5 and error(state, expected_state) <= 1e-5


def test_library_alone_takes_empty_batches_and_no_tokens():
    model, _ = make_model(make_inputs(), tokens="tokens")
    session = open_session(model, library="canthus_ops")
    for batch, tokens in [(0, 5), (2, 0)]:
        inputs = make_inputs(batch=batch, tokens=tokens)
        y, state = session.run(None, {n: v for n, v in inputs.items() if n in NAMES})
        assert y.shape == (batch, 8, tokens) and np.array_equal(state, np.zeros((batch, 8, 16)))


@pytest.mark.parametrize(
    "name, array, message",
    [
        ("delta", np.zeros((2, 8, 69), np.float32), "delta must have shape that of u, (B, D, L) = (2, 8, 70), got"),
        ("delta", np.zeros((2, 8), np.float32), "delta must have shape"),
        ("u", np.zeros((8, 70), np.float32), "u must have shape (B, D, L), got (8, 70)"),
        ("A", np.zeros((8,), np.float32), "A must have shape (D, N), got (8,)"),
        ("A", np.zeros((8, 17), np.float32), "B must have shape (D, N) = (8, 17)"),
        ("B", np.zeros((2, 3, 16, 70), np.float32), "G dividing D, got (2, 3, 16, 70)"),
        ("B", np.zeros((), np.float32), "B must have shape"),
        ("C", np.zeros((1, 2, 3, 4, 5, 6), np.float32), "got (1, 2, 3, 4, ...)"),
        ("C", np.zeros((2, 4, 16, 70), np.float32), "equally many groups, got 2 and 4"),
        ("D", np.zeros((9,), np.float32), "D must have shape (D,) = (8,), got (9,)"),
        ("z", np.zeros((2, 8, 1), np.float32), "z must have shape"),
        ("delta_bias", np.zeros((8, 1), np.float32), "delta_bias must have shape (D,) = (8,), got (8, 1)"),
        ("B", np.zeros((2, 2, 16, 70), np.float16), "B must be float32, got float16"),
        ("C", np.zeros((2, 2, 16, 70), np.int64), "C must be float32, got another type"),
    ],
)
def test_library_refuses_what_does_not_fit(name, array, message):
    """The graph tells nothing of its inputs' shapes, as a hostile one wouldn't."""
    model, feed = make_model(make_inputs())
    for value in model.graph.input:
        value.type.tensor_type.ClearField("shape")
        if value.name == name:
            value.type.tensor_type.elem_type = helper.np_dtype_to_tensor_dtype(array.dtype)
    session = open_session(model, library="canthus_ops")
    with pytest.raises(Exception, match=re.escape(message)):
        session.run(None, feed | {name: array})


def test_library_refuses_missing_inputs():
    model, feed = make_model(make_inputs())
    model.graph.node[0].input[3] = ""
    with pytest.raises(Exception, match=r"SelectiveScan"):
        open_session(model, library="canthus_ops").run(None, feed)


class Layer(torch.nn.Module):
    def __init__(self):
        super().__init__()
        for name, value in make_inputs(channels=32, groups=4, tokens=50).items():
            if name in ("A", "D", "delta_bias"):
                self.register_parameter(name, torch.nn.Parameter(torch.from_numpy(value)))

    def forward(self, u, delta, B, C, z):
        return torch.tanh(selective_scan(u, delta, self.A, B, C, self.D, z, self.delta_bias, True))


def test_export_from_torch(tmp_path):
    def tensors(batch):
        inputs = make_inputs(batch=batch, channels=32, groups=4, tokens=50)
        return tuple(torch.from_numpy(inputs[name]) for name in ("u", "delta", "B", "C", "z"))

    layer = Layer().eval()
    program = torch.onnx.export(
        layer,
        tensors(2),
        dynamo=True,
        custom_translation_table=custom_translation_table(),
        dynamic_shapes=[{0: torch.export.Dim("batch")}] * 5,
        verbose=False,
    )
    model = program.model_proto
    add_function_bodies(model)
    onnx.checker.check_model(model)
    assert [node.op_type for node in model.graph.node] == ["SelectiveScan", "Tanh"]
    names = [value.name for value in model.graph.input]
    for library in ("canthus_ops", None):
        session = open_session(model, library)
        for batch in (1, 3):
            inputs = tensors(batch)
            (y,) = session.run(None, dict(zip(names, (x.numpy() for x in inputs), strict=True)))
            assert error(y, layer(*inputs).detach().numpy()) <= 1e-5


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda m: m.graph.input[0].type.tensor_type.ClearField("shape"), "the shape of u isn't known"),
        (lambda m: m.graph.input[2].type.tensor_type.shape.dim[1].Clear(), "must be fixed"),
        (lambda m: m.graph.input[3].type.tensor_type.shape.dim.pop(), "equally many groups|rank|known"),
        (lambda m: setattr(m.graph.input[0].type.tensor_type, "elem_type", TensorProto.DOUBLE), "not DOUBLE"),
        (lambda m: setattr(m.opset_import[0], "version", 17), "opset 18 or later, the model has 17"),
    ],
)
def test_models_without_a_body(damage, message):
    model, _ = make_model(make_inputs())
    damage(model)
    with pytest.raises(ExportError, match=message):
        add_function_bodies(model)
