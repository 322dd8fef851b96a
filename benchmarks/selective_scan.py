"""How fast the selective scan's kernel is: against the PyTorch loop, and against its ONNX body in onnxruntime.

    python benchmarks/selective_scan.py

Everything is measured in this one run; ratios are of the best of several repetitions.
"""

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper
from stopwatch import best

from canthus.operators import library_path
from canthus_exporter.operators import add_function_bodies
from canthus_model.selective_scan import selective_scan
from canthus_model.selective_scan_reference import selective_scan_reference

NAMES = ("u", "delta", "A", "B", "C", "D", "z", "delta_bias")
SHAPES = {  # batch, channels, tokens, states, groups
    "MCO-Mamba, one scan": (1, 8, 500, 16, 1),
    "MCO-Mamba, all four": (1, 32, 500, 16, 4),
    "vision Mamba": (1, 384, 196, 16, 1),
}


def main() -> None:
    print(f"{'':22}{'threads':>8}{'kernel us':>11}{'torch op':>10}{'loop':>10}{'body':>10}   times the kernel's time")
    for title, shape in SHAPES.items():
        inputs = make_inputs(*shape)
        model = make_model(inputs)
        for threads in (1, 2):
            torch.set_num_threads(threads)
            tensors = {name: torch.from_numpy(array) for name, array in inputs.items()}
            with torch.inference_mode():
                operator = best(lambda t=tensors: selective_scan(**t, delta_softplus=True), repeats=50)
                loop = best(lambda t=tensors: selective_scan_reference(**t, delta_softplus=True))
            kernel, body = (session_time(model, inputs, threads, library) for library in (True, False))
            print(
                f"{title:22}{threads:8}{kernel * 1e6:11.0f}"
                f"{operator / kernel:10.2f}{loop / kernel:10.0f}{body / kernel:10.1f}"
            )


def make_inputs(batch: int, channels: int, tokens: int, states: int, groups: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    sequence, projection = (batch, channels, tokens), (batch, groups, states, tokens)
    weights = (channels, states), (channels,)
    shapes = (sequence, sequence, weights[0], projection, projection, weights[1], sequence, weights[1])
    inputs = {n: random.standard_normal(s).astype(np.float32) for n, s in zip(NAMES, shapes, strict=True)}
    return inputs | {"A": -np.exp(inputs["A"])}


def make_model(inputs: dict[str, np.ndarray]) -> onnx.ModelProto:
    node = helper.make_node("SelectiveScan", NAMES, ["y"], domain="canthus", delta_softplus=1)
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, x.shape) for n, x in inputs.items()]
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, inputs["u"].shape)
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("canthus", 1)]
    model = helper.make_model(helper.make_graph([node], "scan", values, [y]), opset_imports=opsets, ir_version=10)
    add_function_bodies(model)
    return model


def session_time(model: onnx.ModelProto, inputs: dict[str, np.ndarray], threads: int, library: bool) -> float:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    if library:
        options.register_custom_ops_library(str(library_path()))
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return best(lambda: session.run(None, inputs), repeats=50)


if __name__ == "__main__":
    main()
