"""canthus's operators in ONNX: how torch.onnx.export writes them, and their portable function bodies.

    program = torch.onnx.export(
        network, inputs, dynamo=True, custom_translation_table=custom_translation_table()
    )
    add_function_bodies(program.model_proto)

gives a file that any runtime can run and that runs faster where canthus's library is registered.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx
import torch
from onnx import TensorProto, defs
from onnxscript.values import Op, Opset

import canthus_model.selective_scan  # noqa: F401  defines torch.ops.canthus.selective_scan
from canthus.errors import ExportError
from canthus_exporter.head_bodies import HEAD_OPERATORS, HeadBody, head_translations
from canthus_exporter.selective_scan_body import DOMAIN, INPUTS, MINIMUM_OPSET, Signature

Types = dict[str, tuple[int, list[int]]]
"""By a tensor's name its data type and its shape, -1 where that is dynamic."""

_OVERLOAD_IR_VERSION = 10  # the first in which one function may have several bodies


def custom_translation_table() -> dict[Any, Callable[..., Any]]:
    """The `custom_translation_table` of torch.onnx.export that writes nodes of domain `canthus`."""
    scan = Op(Opset(DOMAIN, 1), "SelectiveScan", _schema())

    def selective_scan(u, delta, A, B, C, D=None, z=None, delta_bias=None, delta_softplus=False):  # type: ignore
        return scan(u, delta, A, B, C, D, z, delta_bias, delta_softplus=int(delta_softplus))

    return {torch.ops.canthus.selective_scan.default: selective_scan, **head_translations()}


def add_function_bodies(model: onnx.ModelProto, max_tokens: int | None = None) -> None:
    """Add to `model`, in place, the function bodies that its nodes of domain `canthus` need.

    Nodes of different signatures get bodies of their own by ONNX's function overloads. Bodies that the model
    has already are replaced. The tensors' ranks, dtypes and sizes but for the batch must be known:
    torch.onnx.export writes them; for other models run onnx.shape_inference first.

    Args:
        max_tokens: the most tokens that will come to a selective scan, needed where its token axis is dynamic.

    Raises:
        ExportError: a size, rank or dtype isn't known, or the model's opset is too old.
    """
    nodes = [node for node in model.graph.node if node.domain == DOMAIN]
    opset = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)
    if nodes and opset < MINIMUM_OPSET:
        raise ExportError(
            f"{nodes[0].op_type} needs opset {MINIMUM_OPSET} or later, the model has {opset}: export again"
        )
    types = _tensor_types(model.graph)
    bodies = [_body(node, types, max_tokens) for node in nodes]

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


def _body(
    node: onnx.NodeProto, types: dict[str, tuple[int, list[int]]], max_tokens: int | None
) -> Signature | HeadBody:
    """What the function body of a node depends on; it can be written."""
    if node.op_type == "SelectiveScan":
        return _signature(node, types, max_tokens)
    if node.op_type not in HEAD_OPERATORS:
        raise _error(node, "canthus has no such operator")
    shapes = []
    for name in node.input:
        if name not in types:
            raise _error(node, f"the shape of {name} isn't known; run onnx.shape_inference on the model first")
        shapes.append(tuple(types[name][1]))
    return HeadBody(node.op_type, tuple(shapes))


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


def _signature(node: onnx.NodeProto, types: Types, max_tokens: int | None) -> Signature:
    names = dict(zip(INPUTS, node.input, strict=False))

    def shape(letter: str, *ranks: int) -> list[int]:
        if names.get(letter) not in types:
            raise _error(node, f"the shape of {letter} isn't known; run onnx.shape_inference on the model first")
        found = types[names[letter]][1]
        if len(found) not in ranks:
            raise _error(node, f"{letter} must have rank {' or '.join(map(str, ranks))}, has shape {found}")
        return found

    _, channels, tokens = shape("u", 3)
    _, states = shape("A", 2)
    B, C = shape("B", 2, 3, 4), shape("C", 2, 3, 4)
    groups = {projection[1] if len(projection) == 4 else 1 for projection in (B, C) if len(projection) > 2} or {1}
    data_type = types[names["u"]][0]
    if data_type not in (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16):
        raise _error(node, f"u must be float, float16 or bfloat16, not {TensorProto.DataType.Name(data_type)}")
    if min(channels, states, *groups) < 1:
        raise _error(node, "its channels, states and groups must be fixed: make only batch and tokens dynamic")
    if len(groups) > 1 or channels % min(groups):
        raise _error(node, f"B and C need equally many groups, dividing {channels} channels; shapes {B} and {C}")
    if tokens < 0 and max_tokens is None:
        raise _error(node, "its number of tokens is dynamic: give max_tokens to add_function_bodies")
    softplus = any(a.name == "delta_softplus" and a.i for a in node.attribute)
    return Signature(
        data_type=data_type,
        channels=channels,
        states=states,
        max_tokens=max_tokens if tokens < 0 and max_tokens is not None else tokens,
        B_rank=len(B),
        C_rank=len(C),
        groups=min(groups),
        has_D=bool(names.get("D")),
        has_z=bool(names.get("z")),
        has_delta_bias=bool(names.get("delta_bias")),
        delta_softplus=softplus,
        has_last_state=len(node.output) > 1,
    )


def _error(node: onnx.NodeProto, message: str) -> ExportError:
    return ExportError(f"{node.op_type} node '{node.name or node.output[0]}': {message}")


def _schema() -> defs.OpSchema:
    schema = defs.OpSchema
    optional = schema.FormalParameterOption.Optional
    floats = ["tensor(float)", "tensor(float16)", "tensor(bfloat16)"]
    return schema(
        "SelectiveScan",
        DOMAIN,
        1,
        inputs=[
            schema.FormalParameter("u", "T"),
            schema.FormalParameter("delta", "T"),
            schema.FormalParameter("A", "tensor(float)"),
            schema.FormalParameter("B", "TB"),
            schema.FormalParameter("C", "TC"),
            schema.FormalParameter("D", "tensor(float)", param_option=optional),
            schema.FormalParameter("z", "T", param_option=optional),
            schema.FormalParameter("delta_bias", "tensor(float)", param_option=optional),
        ],
        outputs=[
            schema.FormalParameter("y", "T"),
            schema.FormalParameter("last_state", "tensor(float)", param_option=optional),
        ],
        type_constraints=[
            ("T", floats, "the data type"),
            ("TB", floats, "float where B is (D, N), else T"),
            ("TC", floats, "float where C is (D, N), else T"),
        ],
        attributes=[schema.Attribute("delta_softplus", schema.AttrType.INT, "0 or 1", required=False)],
    )
