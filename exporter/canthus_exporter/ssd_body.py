"""`canthus::Ssd` written in standard ONNX operators, for runtimes without canthus's kernel.

Tokens are taken in blocks: within a block the answers are a product of matrices, and from block to block only the
states are scanned (Dao and Gu, arXiv 2405.21060, section 6). No Loop, Scan or If.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper

from canthus_exporter.body_nodes import END, Nodes, in_blocks, scan_by_doubling
from canthus_exporter.selective_scan_body import DOMAIN

SSD_INPUTS = ("x", "dt", "A", "B", "C", "initial_state")
BLOCK = 64
"""Tokens that are taken at once."""


@dataclass(frozen=True)
class SsdSignature:
    """What a body depends on; one function body serves all nodes with equal signatures."""

    heads: int  # H
    head_size: int  # P
    states: int  # N
    groups: int  # G
    max_tokens: int  # the most tokens, L, that the body is right for
    has_initial_state: bool = False
    has_last_state: bool = False

    def write(self, opset: int, overload: str = "") -> onnx.FunctionProto:
        """The function `canthus::Ssd` for these nodes, which must have at least one token."""
        return _write(self, opset, overload)


def _write(signature: SsdSignature, opset: int, overload: str) -> onnx.FunctionProto:
    op, block = Nodes(), min(BLOCK, signature.max_tokens)
    blocks = -(-signature.max_tokens // block)
    groups, in_group = signature.groups, signature.heads // signature.groups
    heads = (groups, in_group)
    tokens = op("Slice", op("Shape", "x"), op.ints(1), op.ints(2))

    # Tokens that fill the last block have a dt of 0: they change nothing.
    def split(name: str, rank: int, sizes: tuple[int, ...], perm: list[int]) -> str:
        return in_blocks(op, name, rank, tokens, block, sizes, perm)

    # Axes (B, blocks, G, H/G, ...) from here on.
    x = split("x", 4, (*heads, signature.head_size), [0, 1, 3, 4, 2, 5])  # (..., T, P)
    dt = split("dt", 3, heads, [0, 1, 3, 4, 2])  # (..., T)
    B, C = (
        op("Unsqueeze", split(name, 4, (groups, signature.states), [0, 1, 3, 2, 4]), op.ints(3)) for name in "BC"
    )  # (B, blocks, G, 1, T, N)

    logarithms = op("Mul", dt, op("Reshape", "A", op.ints(*heads, 1)))  # of the decays
    later, last = op.ints(-1), op.ints(-2)
    lower, strictly_lower = (op.floats(np.tril(np.ones((block, block), np.float32), k)) for k in (0, -1))
    # Sums over the tokens from s, not included, to t: not differences of sums from the start, which lose digits.
    apart = op("CumSum", op("Mul", op("Unsqueeze", logarithms, later), strictly_lower), op("Squeeze", last))
    left = op("Mul", op("Exp", apart), lower)  # of s's part at t
    weights = op("Mul", op("MatMul", C, op("Transpose", B, perm=[0, 1, 2, 3, 5, 4])), left)
    y = op("MatMul", op("Mul", weights, op("Unsqueeze", dt, last)), x)

    needs_states = blocks > 1 or signature.has_initial_state or signature.has_last_state
    if needs_states:
        at_end = op("Slice", left, op.ints(-1), op.ints(END), last)  # (..., 1, T)
        weighed = op("Mul", op("Transpose", x, perm=[0, 1, 2, 3, 5, 4]), op("Mul", at_end, op("Unsqueeze", dt, last)))
        added = op("MatMul", weighed, B)  # (..., P, N)
        whole = op("Exp", op("ReduceSum", logarithms, later, keepdims=1))
        decay = op("Unsqueeze", whole, later)  # (..., 1, 1)
        first = op("Slice", added, op.ints(0), op.ints(1), op.ints(1))
        if signature.has_initial_state:
            before = op("Reshape", "initial_state", op.ints(0, 1, *heads, signature.head_size, signature.states))
        else:
            before = op("ConstantOfShape", op("Shape", first))
        # The state before all tokens is one more block, the first; its own decay reaches nothing.
        first_decay = op("Slice", decay, op.ints(0), op.ints(1), op.ints(1))
        states = op("Concat", before, added, axis=1)
        states = scan_by_doubling(op, op("Concat", first_decay, decay, axis=1), states, blocks + 1)
        before = op("Slice", states, op.ints(0), op.ints(-1), op.ints(1))
        from_start = op("Unsqueeze", op("Exp", op("CumSum", logarithms, op("Squeeze", later))), later)
        carried = op("MatMul", C, op("Transpose", before, perm=[0, 1, 2, 3, 5, 4]))
        y = op("Add", y, op("Mul", carried, from_start))

    y = op("Reshape", op("Transpose", y, perm=[0, 1, 4, 2, 3, 5]), op.ints(0, -1, signature.heads, signature.head_size))
    op("Slice", y, op.ints(0), tokens, op.ints(1), output="y")
    outputs = ["y"]
    if signature.has_last_state:
        last_state = op("Slice", states, op.ints(-1), op.ints(END), op.ints(1))
        sizes = op.ints(0, signature.heads, signature.head_size, signature.states)
        op("Reshape", last_state, sizes, output="last_state")
        outputs.append("last_state")
    return helper.make_function(
        DOMAIN,
        "Ssd",
        list(SSD_INPUTS),
        outputs,
        op.nodes,
        [helper.make_opsetid("", opset)],
        overload=overload,
    )
