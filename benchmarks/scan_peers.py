"""Other ways to run a selective scan on a CPU, each as a call that can be timed.

All are given `make_inputs`' arrays and as many threads. ONNX Runtime runs with its inputs and outputs bound, so that
what is timed is the operator and little else.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper

from canthus.operators import library_path
from canthus_exporter.operators import add_function_bodies
from canthus_model.selective_scan_reference import selective_scan_reference

NAMES = ("u", "delta", "A", "B", "C", "D", "z", "delta_bias")
Inputs = dict[str, np.ndarray]
Call = Callable[[], object]


def make_inputs(batch: int, channels: int, tokens: int, states: int, groups: int = 1) -> Inputs:
    random = np.random.default_rng(0)
    sequence, projection = (batch, channels, tokens), (batch, groups, states, tokens)
    weights = (channels, states), (channels,)
    shapes = (sequence, sequence, weights[0], projection, projection, weights[1], sequence, weights[1])
    inputs = {n: random.standard_normal(s).astype(np.float32) for n, s in zip(NAMES, shapes, strict=True)}
    return inputs | {"A": -np.exp(inputs["A"])}


def kernel(inputs: Inputs, threads: int) -> Call:
    return _bound(_scan_model(inputs), inputs, threads, library=True)


def body(inputs: Inputs, threads: int) -> Call:
    """The operator's function body: an associative scan by doubling, in standard operators."""
    return _bound(_scan_model(inputs), inputs, threads)


def loop(inputs: Inputs, threads: int) -> Call:
    """mamba_ssm's reference: a loop over tokens, in PyTorch."""
    torch.set_num_threads(threads)
    tensors = {name: torch.from_numpy(array) for name, array in inputs.items()}

    @torch.inference_mode()
    def run() -> object:
        return selective_scan_reference(**tensors, delta_softplus=True)

    return run


def mambapy(inputs: Inputs, threads: int) -> Call | None:
    """mambapy's parallel scan (Blelloch's), as its `MambaBlock` uses it."""
    if importlib.util.find_spec("mambapy") is None or inputs["B"].shape[1] > 1:
        return None
    from mambapy.pscan import pscan

    torch.set_num_threads(threads)
    u, delta, A, B, C, D, z, delta_bias = (torch.from_numpy(inputs[name]) for name in NAMES)
    u, delta, z, B, C = (x.transpose(-1, -2).contiguous() for x in (u, delta, z, B[:, 0], C[:, 0]))

    @torch.inference_mode()
    def run() -> object:
        step = F.softplus(delta + delta_bias).unsqueeze(-1)
        states = pscan(torch.exp(step * A), step * B.unsqueeze(2) * u.unsqueeze(-1))
        return ((states @ C.unsqueeze(-1)).squeeze(3) + D * u) * F.silu(z)

    return run


def onnx_scan(inputs: Inputs, threads: int) -> Call:
    """ONNX's own `Scan`: the recurrence of one token as its body. Only the recurrence is timed, on decays that are
    there already."""
    (batch, channels, _), states = inputs["u"].shape, inputs["A"].shape[1]
    feed = _decayed(inputs)
    state = [batch, channels, states]
    values = {"h": state, "decay": state, "input": state, "C": [batch, 1, states]}
    nodes = [
        helper.make_node("Mul", ["decay", "h"], ["kept"]),
        helper.make_node("Add", ["kept", "input"], ["h_out"]),
        helper.make_node("Mul", ["h_out", "C"], ["parts"]),
        helper.make_node("ReduceSum", ["parts", "axis"], ["y"], keepdims=0),
    ]
    step = helper.make_graph(
        nodes,
        "step",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in values.items()],
        [
            helper.make_tensor_value_info("h_out", TensorProto.FLOAT, state),
            helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, channels]),
        ],
        [helper.make_tensor("axis", TensorProto.INT64, [1], [2])],
    )
    outer = helper.make_node("Scan", ["start", "decays", "inputs", "Cs"], ["last", "ys"], num_scan_inputs=3, body=step)
    return _bound(_model([outer], feed, "ys", 20), feed, threads)


def linear_attention(inputs: Inputs, threads: int) -> Call | None:
    """ONNX's `LinearAttention` (opset 27), gated: a head for each channel, whose keys are B and whose queries C. Its
    own exponentials are timed; what makes its inputs isn't."""
    batch, channels, tokens = inputs["u"].shape
    if inputs["B"].shape[1] > 1:
        return None
    step = np.logaddexp(0, inputs["delta"] + inputs["delta_bias"][:, None])

    def packed(per_head: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(per_head, np.float32).reshape(batch, tokens, -1)

    def for_each_head(projection: np.ndarray) -> np.ndarray:
        return np.repeat(projection[:, 0].transpose(0, 2, 1)[:, :, None], channels, 2)

    feed = {
        "query": packed(for_each_head(inputs["C"])),
        "key": packed(for_each_head(inputs["B"])),
        "value": packed((step * inputs["u"]).transpose(0, 2, 1)),
        "decay": packed(step.transpose(0, 2, 1)[..., None] * inputs["A"]),
    }
    heads = {"q_num_heads": channels, "kv_num_heads": channels}
    node = helper.make_node(
        "LinearAttention",
        ["query", "key", "value", "", "decay"],
        ["y", "state"],
        update_rule="gated",
        scale=1.0,
        domain="com.microsoft",
        **heads,
    )
    return _bound(_model([node], feed, "y", 20, {"com.microsoft": 1}), feed, threads)


def _decayed(inputs: Inputs) -> Inputs:
    """What a scan over tokens starts from, tokens first."""
    channels = inputs["u"].shape[1]
    step = np.logaddexp(0, inputs["delta"] + inputs["delta_bias"][:, None]).transpose(2, 0, 1)[..., None]
    rows = {name: np.repeat(inputs[name], channels // inputs[name].shape[1], 1).transpose(3, 0, 1, 2) for name in "BC"}
    arrays = {
        "start": np.zeros((len(inputs["u"]), channels, inputs["A"].shape[1])),
        "decays": np.exp(step * inputs["A"]),
        "inputs": step * rows["B"] * inputs["u"].transpose(2, 0, 1)[..., None],
        "Cs": inputs["C"][:, :1].transpose(3, 0, 1, 2),
    }
    return {name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items()}


def _scan_model(inputs: Inputs) -> onnx.ModelProto:
    node = helper.make_node("SelectiveScan", NAMES, ["y"], domain="canthus", delta_softplus=1)
    model = _model([node], inputs, "y", 20, {"canthus": 1})
    add_function_bodies(model)
    return model


def _model(
    nodes: list[onnx.NodeProto], feed: Inputs, output: str, opset: int, domains: dict[str, int] | None = None
) -> onnx.ModelProto:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, array.shape) for name, array in feed.items()]
    y = helper.make_tensor_value_info(output, TensorProto.FLOAT, [None] * 3)
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(*item) for item in (domains or {}).items())]
    return helper.make_model(helper.make_graph(nodes, "scan", values, [y]), opset_imports=opsets, ir_version=10)


def _bound(model: onnx.ModelProto, feed: Inputs, threads: int, library: bool = False) -> Call:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    if library:
        options.register_custom_ops_library(str(library_path()))
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    values = {name: onnxruntime.OrtValue.ortvalue_from_numpy(array) for name, array in feed.items()}
    for name, value in values.items():
        binding.bind_ortvalue_input(name, value)
    output = session.get_outputs()[0].name
    shape = session.run([output], feed)[0].shape
    binding.bind_ortvalue_output(output, onnxruntime.OrtValue.ortvalue_from_shape_and_type(shape, np.float32))
    return lambda: session.run_with_iobinding(binding)
