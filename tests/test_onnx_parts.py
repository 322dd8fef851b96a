"""Graphs in parts: the parts together compute what the whole does, and damage is told."""

import threading

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from canthus.bundle import read_bundle  # noqa: E402
from canthus.engine import Engine  # noqa: E402
from canthus.errors import EngineError  # noqa: E402
from canthus.operators import library_path  # noqa: E402
from canthus.runtimes import onnxruntime as runtime  # noqa: E402
from canthus.runtimes.onnx_parts import split  # noqa: E402


def make_model(nodes, inputs=("a", "b", "c"), outputs=("y",), constants=("two",)):
    """Vectors of three numbers in and out; each constant is 2."""
    values = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, [3]) for name in n] for n in (inputs, outputs)]
    weights = [numpy_helper.from_array(np.full(3, 2, np.float32), name) for name in constants]
    graph = helper.make_graph(nodes, "graph", *values, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10).SerializeToString()


NODES = {
    "from a": helper.make_node("Mul", ["a", "doubled"], ["from a"]),
    "from b": helper.make_node("Mul", ["b", "doubled"], ["from b"]),
    "again b": helper.make_node("Neg", ["from b"], ["again b"]),
    "constant": helper.make_node("Mul", ["two", "two"], ["doubled"]),
    "both": helper.make_node("Add", ["from a", "again b"], ["both"]),
    "y": helper.make_node("Sub", ["both", "c"], ["y"]),
}


def run(part, values):
    session = onnxruntime.InferenceSession(part.model, providers=["CPUExecutionProvider"])
    return dict(zip(part.outputs, session.run(part.outputs, {n: values[n] for n in part.inputs}), strict=True))


@pytest.mark.parametrize("order", [list(NODES), sorted(NODES), sorted(NODES, reverse=True)], ids=str)
def test_parts_together_compute_what_the_whole_does(order):
    parts = split(make_model([NODES[name] for name in order]), ["a", "b"])
    assert [(part.inputs, part.outputs) for part in parts] == [
        (("a",), ("from a",)),
        (("b",), ("again b",)),
        (("c", "again b", "from a"), ("y",)),
    ]
    values = {name: np.arange(3, dtype=np.float32) + i for i, name in enumerate("abc")}
    for part in parts:
        onnx.load_from_string(part.model)
        values |= run(part, values)
    assert np.array_equal(values["y"], 4 * values["a"] - 4 * values["b"] - values["c"])


def test_what_a_part_reads_is_all_that_it_holds():
    model = make_model([NODES["constant"], NODES["from a"], NODES["from b"]], outputs=["from a", "from b"], inputs="ab")
    for part in split(model, ["a", "b"]):
        graph = onnx.load_from_string(part.model).graph
        onnx.checker.check_model(onnx.load_from_string(part.model))
        assert [node.output[0] for node in graph.node] == ["doubled", *part.outputs]
        assert len(graph.initializer) == 1 and len(graph.input) == len(graph.output) == 1


def test_an_input_of_one_part_may_be_an_output_of_the_graph():
    nodes = [NODES["constant"], NODES["from a"], helper.make_node("Neg", ["from a"], ["y"])]
    parts = split(make_model(nodes, inputs="a", outputs=["from a", "y"]), ["a"])
    assert [part.outputs for part in parts] == [("from a", "y")]
    nodes += [NODES["from b"], NODES["again b"], NODES["both"]]
    parts = split(make_model(nodes, inputs="ab", outputs=["from a", "y", "both"]), ["a", "b"])
    assert [part.outputs for part in parts] == [("from a", "y"), ("again b",), ("both",)]


def test_a_model_whose_nodes_hold_graphs_stays_whole():
    branch = helper.make_graph(
        [helper.make_node("Neg", ["a"], ["n"])], "g", [], [helper.make_tensor_value_info("n", 1, [3])]
    )
    nodes = [
        helper.make_node("Constant", [], ["yes"], value=helper.make_tensor("v", TensorProto.BOOL, [], [True])),
        helper.make_node("If", ["yes"], ["y"], then_branch=branch, else_branch=branch),
    ]
    model = make_model(nodes, inputs="ab", outputs="y")
    (part,) = split(model, ["a", "b"])
    assert part == (model, ("a", "b"), ("y",))


def test_damaged_models_are_told_and_nothing_else_happens():
    model = make_model(list(NODES.values()))
    random = np.random.default_rng(0)
    damaged = [model[:end] for end in range(len(model))]
    for _ in range(3000):
        changed = bytearray(model)
        for place in random.integers(0, len(model), 3):
            changed[place] = random.integers(0, 256)
        damaged.append(bytes(changed))
    told = 0
    for content in damaged:
        try:
            split(content, ["a", "b"])
        except ValueError:
            told += 1
    assert told > len(model) * 0.9


def test_loops_are_told():
    nodes = [helper.make_node("Neg", ["x"], ["y"]), helper.make_node("Neg", ["y"], ["x"])]
    with pytest.raises(ValueError, match="reads what nothing makes"):
        split(make_model(nodes), ["a"])
    with pytest.raises(ValueError, match="no input d"):
        split(make_model(list(NODES.values())), ["d"])


def test_two_threads_answer_as_one_and_each_has_an_encoder(small_bundle, monkeypatch):
    bundle = read_bundle(small_bundle)
    frame, event = np.random.default_rng(0).integers(0, 256, (2, 3, 100, 100), np.uint8)
    answers = {}
    ran = []
    run = runtime._Opened.run

    def recorded(self, values):
        ran.append((threading.current_thread().name.startswith("canthus-encoder"), self.inputs[0]))
        return run(self, values)

    monkeypatch.setattr(runtime._Opened, "run", recorded)
    for threads in (1, 2, 5):
        ran.clear()
        graphs = bundle.read("prime.onnx"), bundle.read("react.onnx")
        engine = Engine(bundle.manifest, runtime.OnnxRuntime(*graphs, threads, library_path()))
        answers[threads] = engine.react(frame, event, engine.prime(frame, event))
        encoders = [(False, "frame"), (True, "event")]
        expected = [(False, "frame")] * 2 if threads == 1 else [*encoders, *encoders, (False, "first_frame")]
        assert sorted(ran) == sorted(expected)
    for other in (2, 5):
        for one, two in zip(answers[1], answers[other], strict=True):
            assert np.abs(one - two).max() <= 1e-5


def test_a_graph_that_is_none_is_an_engine_error():
    with pytest.raises(EngineError, match=r"prime.onnx: can't be read \(.*\); export the bundle again"):
        runtime.OnnxRuntime(b"no graph", b"", 2, None)
    other = make_model(list(NODES.values()), inputs=("a", "b", "c", "frame", "event"))
    with pytest.raises(EngineError, match=r"prime.onnx: takes \['a', 'b', 'c'\] and gives"):
        runtime.OnnxRuntime(other, other, 2, None)
