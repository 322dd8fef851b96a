"""How a selective scan is written to ONNX: a node, and which body it needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx
import torch
from onnx import TensorProto, defs
from onnxscript.values import Op, Opset

import canthus_model.selective_scan  # noqa: F401  defines torch.ops.canthus.selective_scan
from canthus_exporter.function_bodies import Types, node_error
from canthus_exporter.selective_scan_body import DOMAIN, INPUTS, Signature


def scan_translation() -> dict[Any, Callable[..., Any]]:
    """Of torch.onnx.export's `custom_translation_table`."""
    scan = Op(Opset(DOMAIN, 1), "SelectiveScan", _schema())

    def selective_scan(u, delta, A, B, C, D=None, z=None, delta_bias=None, delta_softplus=False):  # type: ignore
        return scan(u, delta, A, B, C, D, z, delta_bias, delta_softplus=int(delta_softplus))

    return {torch.ops.canthus.selective_scan.default: selective_scan}


def find_scan_body(node: onnx.NodeProto, types: Types, max_tokens: int | None = None) -> Signature:
    """What the body of a selective scan depends on.

    Args:
        max_tokens: the most tokens that will come to it, needed where its token axis is dynamic.

    Raises:
        ExportError: a size, rank or dtype isn't known, or its shapes don't fit each other.
    """
    names = dict(zip(INPUTS, node.input, strict=False))

    def shape(letter: str, *ranks: int) -> list[int]:
        if names.get(letter) not in types:
            raise node_error(node, f"the shape of {letter} isn't known; run onnx.shape_inference on the model first")
        found = types[names[letter]][1]
        if len(found) not in ranks:
            raise node_error(node, f"{letter} must have rank {' or '.join(map(str, ranks))}, has shape {found}")
        return found

    _, channels, tokens = shape("u", 3)
    _, states = shape("A", 2)
    B, C = shape("B", 2, 3, 4), shape("C", 2, 3, 4)
    groups = {projection[1] if len(projection) == 4 else 1 for projection in (B, C) if len(projection) > 2} or {1}
    data_type = types[names["u"]][0]
    if data_type not in (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16):
        raise node_error(node, f"u must be float, float16 or bfloat16, not {TensorProto.DataType.Name(data_type)}")
    if min(channels, states, *groups) < 1:
        raise node_error(node, "its channels, states and groups must be fixed: make only batch and tokens dynamic")
    if len(groups) > 1 or channels % min(groups):
        raise node_error(node, f"B and C need equally many groups, dividing {channels} channels; shapes {B} and {C}")
    if tokens < 0 and max_tokens is None:
        raise node_error(node, "its number of tokens is dynamic: give max_tokens, the most that will come")
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
