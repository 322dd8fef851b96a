"""Function bodies of scans, checked each by itself at few tokens, for where memory doesn't do for the whole network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from canthus.operators import library_path
from canthus.runtimes.onnxruntime import open_session
from canthus_exporter.mamba.judge import difference
from canthus_exporter.mamba.scans import SCANS, Scan
from canthus_exporter.selective_scan_body import DOMAIN

TOKENS = 1024

_STATES_AT_ONCE = 8
"""Arrays of all tokens' states that a body has at a time, in float32: measured, 7."""


def memory_of_body(states: int) -> int:
    """Bytes that the body of a scan takes whose tokens have so many states in all."""
    return 4 * _STATES_AT_ONCE * states


def free_memory() -> int | None:
    """Bytes that this machine could give a process; None where it doesn't tell."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), None)


def difference_of_bodies(path: Path, max_tokens: int | None = None) -> float:
    """The largest of a body's outputs from the kernel's, over the scans of a model, at TOKENS tokens or fewer.

    Args:
        max_tokens: the most that bodies are right for, if their number is free.
    """
    model, most = onnx.load(path, load_external_data=False), min(max_tokens or TOKENS, TOKENS)
    return max(_difference(model, node, most) for node in model.graph.node if node.op_type in SCANS)


def _difference(model: onnx.ModelProto, node: onnx.NodeProto, most: int) -> float:
    graph, generator, kind = model.graph, np.random.default_rng(0), SCANS[node.op_type]
    shapes = {
        value.name: (value.type.tensor_type.elem_type, [size.dim_value for size in value.type.tensor_type.shape.dim])
        for value in (*graph.input, *graph.value_info)
    } | {value.name: (value.data_type, list(value.dims)) for value in graph.initializer}
    given = [(letter, *shapes[name]) for letter, name in zip(kind.inputs, node.input, strict=False) if name]
    tokens = min(given[0][2][kind.tokens_axis] or most, most)
    feed = {letter: _random(generator, kind, letter, data_type, shape, tokens) for letter, data_type, shape in given}
    apart = helper.make_node(
        node.op_type,
        [letter if name else "" for letter, name in zip(kind.inputs, node.input, strict=False)],
        ["y", "last_state"][: len(node.output)],
        domain=DOMAIN,
        overload=node.overload,
    )
    apart.attribute.extend(node.attribute)
    values = [helper.make_tensor_value_info(name, type_, feed[name].shape) for name, type_, _ in given]
    outputs = [helper.make_tensor_value_info("y", given[0][1], None)]
    if len(node.output) > 1:
        outputs.append(helper.make_tensor_value_info("last_state", TensorProto.FLOAT, None))
    alone = helper.make_model(
        helper.make_graph([apart], "scan", values, outputs),
        opset_imports=model.opset_import,
        functions=[one for one in model.functions if (one.name, one.overload) == (node.op_type, node.overload)],
        ir_version=model.ir_version,
    )
    by_kernel, by_body = (
        open_session(node.op_type, alone.SerializeToString(), 1, library).run(None, feed)
        for library in (library_path(), None)
    )
    return difference(by_body, by_kernel)


def _random(
    generator: np.random.Generator, kind: Scan, letter: str, data_type: int, shape: list[int], tokens: int
) -> Any:
    """As a network has it: A is negative, time steps small; one sequence of a few tokens."""
    size = list(shape)
    if letter in kind.with_tokens or (letter in ("B", "C") and len(shape) > 2):
        size[0], size[kind.tokens_axis] = 1, tokens
    if letter == "initial_state":
        size[0] = 1
    values = generator.standard_normal(size)
    if letter == "A":
        values = -np.abs(values)
    if letter in ("delta", "dt"):
        values = 0.1 * np.abs(values)
    return values.astype(np.float16 if data_type == TensorProto.FLOAT16 else np.float32)
