"""How what stays in float keeps its weights: a half or a quarter of the size, for an error far below INT8's.

What costs a layer its precision is to round what it *reads*; its weights, one scale for each output, can do with less.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Floats = NDArray[np.float32]

_MATRICES = {"Mcib": (5,), "RoutedExperts": (1, 6)}
"""Inputs of canthus's operators that may be int8, each with its scales (outputs,) behind it."""


def shrink_weights(model: onnx.ModelProto, nodes: Collection[str], *, int8: bool) -> None:
    """Change `model` so that the weights of the nodes named are small in the file, and float32 when it is loaded.

    Convolutions keep float16. Dense layers, which hold most of the weights that are often kept in float, keep int8,
    times a scale for each output, if `int8`. Runtimes make float32 of them once, so the layers run as before.
    """
    initializers = {initializer.name: initializer for initializer in model.graph.initializer}
    made: list[onnx.NodeProto] = []
    for node in model.graph.node:
        weight = initializers.get(node.input[1]) if node.name in nodes and len(node.input) > 1 else None
        if weight is None or weight.data_type != TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(weight)
        kept: NDArray[Any]
        scale: Floats | None
        kept, scale = _as_int8(values) if int8 and node.op_type == "Gemm" else _as_float16(values)
        made += _made_again(model, weight, kept, scale)
    _put_first(model, made)


def shrink_head(model: onnx.ModelProto, *, int8: bool) -> None:
    """Change `model` so that the matrices of canthus's operators are int8, times a scale for each output; or float16.

    What they multiply stays as it is: the operators read int8 weights and compute in float32. Of float16, runtimes
    make float32 once.
    """
    initializers = {initializer.name: initializer for initializer in model.graph.initializer}
    made: list[onnx.NodeProto] = []
    for node in model.graph.node:
        for place in _MATRICES.get(node.op_type, ()) if node.domain == "canthus" else ():
            weight, scale = (initializers[name] for name in node.input[place : place + 2])
            values = numpy_helper.to_array(weight)
            if int8:
                kept, factor = _as_int8(values)
                weight.CopyFrom(numpy_helper.from_array(kept, weight.name))
                scale.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(scale) * factor[:, 0], scale.name))
            else:
                made += _made_again(model, weight, *_as_float16(values))
    _put_first(model, made)


def _made_again(
    model: onnx.ModelProto, weight: onnx.TensorProto, kept: NDArray[Any], scale: Floats | None
) -> list[onnx.NodeProto]:
    """Keep a weight as `kept`; the nodes that make float32 of it under its name."""
    name = weight.name
    unscaled = f"{name}.unscaled" if scale is not None else name
    weight.CopyFrom(numpy_helper.from_array(kept, f"{name}.{kept.dtype}"))
    nodes = [helper.make_node("Cast", [weight.name], [unscaled], f"{name}.cast", to=TensorProto.FLOAT)]
    if scale is not None:
        model.graph.initializer.append(numpy_helper.from_array(scale, f"{name}.scale"))
        nodes.append(helper.make_node("Mul", [unscaled, f"{name}.scale"], [name], f"{name}.multiply"))
    return nodes


def _put_first(model: onnx.ModelProto, nodes: list[onnx.NodeProto]) -> None:
    others = [*model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *others])


def _as_int8(values: Floats) -> tuple[NDArray[np.int8], Floats]:
    """(outputs, inputs) as int8 and scales (outputs, 1)."""
    largest = np.abs(values).max(1, keepdims=True)
    scale = np.where(largest > 0, largest / 127, 1).astype(np.float32)
    return np.rint(values / scale).astype(np.int8), scale


def _as_float16(values: Floats) -> tuple[NDArray[np.float16], Floats | None]:
    """(outputs, ...) as float16, and powers of two (outputs, 1, ...) where an output's are beyond its range."""
    largest = np.abs(values).max(axis=tuple(range(1, values.ndim)), keepdims=True)
    excess = np.maximum(largest / np.finfo(np.float16).max, 1)
    scale = np.exp2(np.ceil(np.log2(excess))).astype(np.float32)
    return (values / scale).astype(np.float16), None if (scale == 1).all() else scale
