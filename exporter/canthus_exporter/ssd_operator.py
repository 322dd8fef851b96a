"""Mamba-2's scan as a PyTorch operator, `torch.ops.canthus.ssd`, and how it is written to ONNX."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx
import torch
from onnx import TensorProto, defs
from onnxscript.values import Op, Opset
from torch import Tensor

from canthus import _native
from canthus_exporter.function_bodies import Types, node_error
from canthus_exporter.selective_scan_body import DOMAIN
from canthus_exporter.ssd_body import SSD_INPUTS, SsdSignature


@torch.library.custom_op("canthus::ssd", mutates_args=(), device_types="cpu")
def ssd(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, initial_state: Tensor | None) -> tuple[Tensor, Tensor]:
    """S[t] = exp(dt[t] A) S[t-1] + dt[t] x[t] B[t]; y[t] = S[t] C[t] (Dao and Gu, arXiv 2405.21060).

    Args:
        x: (B, L, H, P); like all others float32.
        dt: (B, L, H), positive.
        A: (H,), negative.
        B, C: (B, L, G, N), G dividing H.
        initial_state: (B, H, P, N), or None for zeros.

    Returns:
        y, (B, L, H, P), and the last state, (B, H, P, N).

    Raises:
        ValueError: a shape doesn't fit.
        TypeError: something isn't float32.
    """
    arrays = [None if t is None else t.detach().contiguous().numpy() for t in (x, dt, A, B, C, initial_state)]
    y, last_state = _native.ssd(*arrays, threads=torch.get_num_threads())
    return torch.from_numpy(y), torch.from_numpy(last_state)


@ssd.register_fake
def _(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, *_others: Tensor | None) -> tuple[Tensor, Tensor]:
    y = torch.empty_like(x, memory_format=torch.contiguous_format)
    return y, x.new_empty((x.shape[0], x.shape[2], x.shape[3], B.shape[3]))


def ssd_reference(
    x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, initial_state: Tensor | None
) -> tuple[Tensor, Tensor]:
    """As `ssd`, token by token, in whatever type comes in."""
    in_group = x.shape[2] // B.shape[2]
    B, C = (t.repeat_interleave(in_group, 2) for t in (B, C))
    decay, added = torch.exp(dt * A), dt.unsqueeze(3) * x
    state = x.new_zeros((x.shape[0], *x.shape[2:], B.shape[3])) if initial_state is None else initial_state
    y = []
    for t in range(x.shape[1]):
        state = decay[:, t, :, None, None] * state + added[:, t].unsqueeze(3) * B[:, t].unsqueeze(2)
        y.append((state * C[:, t].unsqueeze(2)).sum(3))
    return (torch.stack(y, 1) if y else torch.zeros_like(x)), state


def ssd_translation() -> dict[Any, Callable[..., Any]]:
    """Of torch.onnx.export's `custom_translation_table`."""
    node = Op(Opset(DOMAIN, 1), "Ssd", _schema())

    def translated(x, dt, A, B, C, initial_state=None):  # type: ignore
        return node(x, dt, A, B, C, initial_state)

    return {torch.ops.canthus.ssd.default: translated}


def find_ssd_body(node: onnx.NodeProto, types: Types, max_tokens: int | None = None) -> SsdSignature:
    """What the body of an Ssd node depends on.

    Args:
        max_tokens: the most tokens that will come to it, needed where its token axis is dynamic.

    Raises:
        ExportError: a size, rank or dtype isn't known, or its shapes don't fit each other.
    """
    names = dict(zip(SSD_INPUTS, node.input, strict=False))
    for letter, rank in (("x", 4), ("dt", 3), ("A", 1), ("B", 4), ("C", 4)):
        if names.get(letter) not in types:
            raise node_error(node, f"the shape of {letter} isn't known; run onnx.shape_inference on the model first")
        data_type, shape = types[names[letter]]
        if len(shape) != rank or data_type != TensorProto.FLOAT:
            raise node_error(node, f"{letter} must be float and of rank {rank}, has shape {shape}")
    _, tokens, heads, head_size = types[names["x"]][1]
    _, _, groups, states = types[names["B"]][1]
    if min(heads, head_size, groups, states) < 1:
        raise node_error(
            node, "its heads, their size, groups and states must be fixed: make only batch and tokens dynamic"
        )
    if tokens == 0:
        raise node_error(node, "it has no tokens")
    if heads % groups:
        raise node_error(node, f"its {groups} groups don't divide its {heads} heads")
    if tokens < 0 and max_tokens is None:
        raise node_error(node, "its number of tokens is dynamic: give max_tokens, the most that will come")
    return SsdSignature(
        heads=heads,
        head_size=head_size,
        states=states,
        groups=groups,
        max_tokens=max_tokens if tokens < 0 and max_tokens is not None else tokens,
        has_initial_state=bool(names.get("initial_state")),
        has_last_state=len(node.output) > 1,
    )


def _schema() -> defs.OpSchema:
    parameter, optional = defs.OpSchema.FormalParameter, defs.OpSchema.FormalParameterOption.Optional
    return defs.OpSchema(
        "Ssd",
        DOMAIN,
        1,
        inputs=[
            parameter(name, "tensor(float)", **({"param_option": optional} if name == "initial_state" else {}))
            for name in SSD_INPUTS
        ],
        outputs=[parameter("y", "tensor(float)"), parameter("last_state", "tensor(float)", param_option=optional)],
    )
