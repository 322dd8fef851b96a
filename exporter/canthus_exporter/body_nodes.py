"""What function bodies are written with: nodes of standard operators, and a scan over tokens made of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

END = 2**31 - 1
"""A Slice's end beyond any axis."""


class Nodes:
    """Collects nodes; each call adds one and returns its output's name, which begins with `prefix`."""

    def __init__(self, prefix: str = "") -> None:
        self.nodes: list[onnx.NodeProto] = []
        self._prefix = prefix

    def __call__(self, op_type: str, *inputs: str, output: str | None = None, **attributes: object) -> str:
        output = output or f"{self._prefix}{op_type}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op_type, list(inputs), [output], **attributes))
        return output

    def floats(self, values: NDArray[np.float32]) -> str:
        """A constant."""
        return self("Constant", value=numpy_helper.from_array(values))

    def ints(self, *values: int) -> str:
        """A constant, a vector."""
        return self("Constant", value_ints=list(values))


def scan_by_doubling(op: Nodes, decay: str, state: str, max_tokens: int) -> str:
    """The states h[t] = a[t] h[t-1] + b[t] after every token, from a and b of every token; axis 1 is tokens.

    It is an associative scan: the pair (a, b) of a run of tokens and that of the run before it combine to
    (a a', b + a b'). Combining each token with the one k before it, for k = 1, 2, 4, ..., reaches all earlier tokens in
    log2(L) steps (Hillis and Steele, 1986; for Mamba arXiv 2312.00752, section 3.3.2).

    Args:
        decay, state: names of a and b, of the same rank; the axes of a may be 1 where b's are not.
        max_tokens: as many as it is right for.
    """
    from_start, one = op.ints(0), op.ints(1)
    shift = 1
    while shift < max_tokens:
        head = from_start, op.ints(shift), one
        tail = op.ints(shift), op.ints(END), one
        before = from_start, op.ints(-shift), one
        tail_decay = op("Slice", decay, *tail)
        carried = op("Mul", tail_decay, op("Slice", state, *before))
        state = op("Concat", op("Slice", state, *head), op("Add", op("Slice", state, *tail), carried), axis=1)
        shift *= 2
        if shift < max_tokens:
            tail_decay = op("Mul", tail_decay, op("Slice", decay, *before))
            decay = op("Concat", op("Slice", decay, *head), tail_decay, axis=1)
    return state


def in_blocks(op: Nodes, values: str, rank: int, tokens: str, block: int, sizes: Sequence[int], perm: list[int]) -> str:
    """(B, L, ...) to (B, blocks, block, *sizes), its axes in the order of `perm`; zeros fill the last block.

    Args:
        values: name of the tensor; rank: of it.
        tokens: name of L, a vector of one.
    """
    more = op("Mod", op("Neg", tokens), op.ints(block))
    pads = op("Concat", op.ints(*([0] * (rank + 1))), more, op.ints(*([0] * (rank - 2))), axis=0)
    return op("Transpose", op("Reshape", op("Pad", values, pads), op.ints(0, -1, block, *sizes)), perm=perm)
