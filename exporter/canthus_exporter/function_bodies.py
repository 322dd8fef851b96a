"""Gives the nodes of canthus's operators in an ONNX model their bodies: functions of standard operators."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import onnx

from canthus.errors import ExportError
from canthus_exporter.selective_scan_body import DOMAIN, MINIMUM_OPSET

Types = dict[str, tuple[int, list[int]]]
"""By a tensor's name its data type and its shape, -1 where that is dynamic."""


class Body(Protocol):
    """What a function body depends on: one serves all nodes with equal ones."""

    def write(self, opset: int, overload: str = "") -> onnx.FunctionProto:
        """The function, in standard operators of `opset`."""


FindBody = Callable[[onnx.NodeProto, Types], Body]
"""The body that a node needs; it can be written.

Raises:
    ExportError: a size, rank or dtype isn't known.
"""

_OVERLOAD_IR_VERSION = 10  # the first in which one function may have several bodies


def add_bodies(model: onnx.ModelProto, find: Mapping[str, FindBody]) -> None:
    """Add to `model`, in place, the function bodies that its nodes of domain `canthus` need.

    Nodes that need different ones get bodies of their own by ONNX's function overloads. Bodies that the model has
    already are replaced.

    Args:
        find: by the operators' names.

    Raises:
        ExportError: as `FindBody`; there is no such operator, or the model's opset is too old.
    """
    nodes = [node for node in model.graph.node if node.domain == DOMAIN]
    opset = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)
    if nodes and opset < MINIMUM_OPSET:
        raise ExportError(
            f"{nodes[0].op_type} needs opset {MINIMUM_OPSET} or later, the model has {opset}: export again"
        )
    types = _tensor_types(model.graph)
    bodies = []
    for node in nodes:
        if node.op_type not in find:
            raise node_error(node, "canthus has no such operator")
        bodies.append(find[node.op_type](node, types))

    others = [function for function in model.functions if function.domain != DOMAIN]
    del model.functions[:]
    model.functions.extend(others)
    for op_type in dict.fromkeys(node.op_type for node in nodes):
        own = [(node, body) for node, body in zip(nodes, bodies, strict=True) if node.op_type == op_type]
        distinct = list(dict.fromkeys(body for _, body in own))
        overloads = {body: str(i) if len(distinct) > 1 else "" for i, body in enumerate(distinct)}
        for node, body in own:
            node.overload = overloads[body]
        model.functions.extend(body.write(opset, overloads[body]) for body in distinct)
        if len(distinct) > 1:
            model.ir_version = max(model.ir_version, _OVERLOAD_IR_VERSION)


def node_error(node: onnx.NodeProto, message: str) -> ExportError:
    """What is wrong with a node."""
    return ExportError(f"{node.op_type} node '{node.name or node.output[0]}': {message}")


def _tensor_types(graph: onnx.GraphProto) -> Types:
    """Of all tensors that the graph tells them of."""
    types = {}
    for value in (*graph.input, *graph.value_info, *graph.output):
        tensor = value.type.tensor_type
        if tensor.HasField("shape"):
            shape = [axis.dim_value if axis.HasField("dim_value") else -1 for axis in tensor.shape.dim]
            types[value.name] = (tensor.elem_type, shape)
    for initializer in graph.initializer:
        types[initializer.name] = (initializer.data_type, list(initializer.dims))
    return types
