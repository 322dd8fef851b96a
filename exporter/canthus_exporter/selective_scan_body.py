"""`canthus::SelectiveScan` written in standard ONNX operators, for runtimes without canthus's kernels.

Of up to WHOLE tokens there is no Loop, Scan or If in it: every runtime's parser takes it, TensorRT's too. More are
taken in blocks by an ONNX Scan, so that there are never the states of all tokens at a time.
"""

from dataclasses import dataclass

import onnx
from onnx import TensorProto, helper

from canthus_exporter.body_nodes import END, Nodes, in_blocks, scan_by_doubling

DOMAIN = "canthus"
INPUTS = ("u", "delta", "A", "B", "C", "D", "z", "delta_bias")
MINIMUM_OPSET = 18
WHOLE = 512
"""Tokens that a body takes at once: up to here that is as quick, and some parsers have no Scan."""
BLOCK = 32
"""Tokens that it takes at once where there may be more."""


@dataclass(frozen=True)
class Signature:
    """What a body depends on; one function body serves all nodes with equal signatures."""

    data_type: int  # onnx.TensorProto's: FLOAT, FLOAT16 or BFLOAT16
    channels: int  # D
    states: int  # N
    max_tokens: int  # the most tokens, L, that the body is right for
    B_rank: int  # 2: (D, N); 3: (B, N, L); 4: (B, G, N, L)
    C_rank: int
    groups: int = 1  # G
    has_D: bool = False
    has_z: bool = False
    has_delta_bias: bool = False
    delta_softplus: bool = False
    has_last_state: bool = False

    def write(self, opset: int, overload: str = "") -> onnx.FunctionProto:
        """The function `canthus::SelectiveScan` for these nodes, which must have at least one token.

        `opset` is that of the model, at least MINIMUM_OPSET. Arithmetic is float32.
        """
        return _write(self, opset, overload)


def _write(signature: Signature, opset: int, overload: str) -> onnx.FunctionProto:
    op = Nodes()
    is_float32 = signature.data_type == TensorProto.FLOAT

    def float32(name: str) -> str:
        return name if is_float32 else op("Cast", name, to=TensorProto.FLOAT)

    # Axes (B, L, G, D/G, N) from here on: a shift by k tokens is then a move of whole rows.
    shape = (0, 0, signature.groups, signature.channels // signature.groups)
    channels_last = {"perm": [0, 2, 1]}
    u = op("Transpose", float32("u"), **channels_last)
    delta = op("Transpose", float32("delta"), **channels_last)
    if signature.has_delta_bias:
        delta = op("Add", delta, "delta_bias")
    if signature.delta_softplus:
        delta = op("Softplus", delta)

    def projection(name: str, rank: int) -> str:
        if rank == 2:
            return op("Reshape", name, op.ints(*shape[2:], signature.states))
        if rank == 3:
            return op("Unsqueeze", op("Transpose", float32(name), perm=[0, 2, 1]), op.ints(2, 3))
        return op("Unsqueeze", op("Transpose", float32(name), perm=[0, 3, 1, 2]), op.ints(3))

    A = op("Reshape", "A", op.ints(*shape[2:], signature.states))
    added = op("Mul", delta, u)
    B, C = projection("B", signature.B_rank), projection("C", signature.C_rank)
    if signature.max_tokens <= WHOLE:
        y, last = _read_out(op, signature, delta, added, A, B, C, None)
    else:
        y, last = _in_blocks(op, signature, delta, added, A, B, C)
    if signature.has_D:
        y = op("Add", y, op("Mul", u, "D"))
    y = op("Transpose", y, **channels_last)
    if signature.has_z:
        z = float32("z")
        y = op("Mul", y, op("Mul", z, op("Sigmoid", z)))
    if is_float32:
        op("Identity", y, output="y")
    else:
        op("Cast", y, to=signature.data_type, output="y")
    outputs = ["y"]
    if signature.has_last_state:
        op("Reshape", last, op.ints(0, signature.channels, signature.states), output="last_state")
        outputs.append("last_state")
    return helper.make_function(
        DOMAIN,
        "SelectiveScan",
        list(INPUTS),
        outputs,
        op.nodes,
        [helper.make_opsetid("", opset)],
        attribute_protos=[helper.make_attribute("delta_softplus", 0)],
        overload=overload,
    )


def _read_out(
    op: Nodes, signature: Signature, delta: str, added: str, A: str, B: str, C: str, before: str | None
) -> tuple[str, str]:
    """y (B, L, D), without D's part, and the last state (B, 1, G, D/G, N).

    Args:
        delta, added: (B, L, D), and that times u.
        A: (G, D/G, N).
        B, C: the same, or (B, L, G, 1, N).
        before: the state before all tokens, of the last one's shape; None for zero.
    """
    per_state = op.ints(0, 0, signature.groups, signature.channels // signature.groups, 1)
    decay = op("Exp", op("Mul", op("Reshape", delta, per_state), A))
    state = op("Mul", op("Reshape", added, per_state), B)
    if before is not None:
        zero, one, end = op.ints(0), op.ints(1), op.ints(END)
        carried = op("Mul", op("Slice", decay, zero, one, one), before)
        first = op("Add", op("Slice", state, zero, one, one), carried)
        state = op("Concat", first, op("Slice", state, one, end, one), axis=1)
    tokens = signature.max_tokens if before is None else BLOCK
    state = scan_by_doubling(op, decay, state, tokens)
    y = op("ReduceSum", op("Mul", state, C), op.ints(4), keepdims=0)
    last = op("Slice", state, op.ints(-1), op.ints(END), op.ints(1))
    return op("Reshape", y, op.ints(0, 0, signature.channels)), last


def _in_blocks(op: Nodes, signature: Signature, delta: str, added: str, A: str, B: str, C: str) -> tuple[str, str]:
    """As `_read_out`, BLOCK tokens after the other."""
    channels, per_group = signature.channels, signature.channels // signature.groups
    tokens = op("Slice", op("Shape", delta), op.ints(1), op.ints(2))
    of_token = (signature.groups, 1, signature.states)

    def split(values: str, *sizes: int) -> str:
        return in_blocks(op, values, 2 + len(sizes), tokens, BLOCK, sizes, [1, 0, *range(2, len(sizes) + 3)])

    scanned = {"delta": split(delta, channels), "added": split(added, channels)}
    if signature.B_rank > 2:
        scanned["B"] = split(B, *of_token)
    if signature.C_rank > 2:
        scanned["C"] = split(C, *of_token)
    inner = Nodes("block_")
    given = {name: f"block_{name}" for name in ("before", *scanned)}
    y, last = _read_out(
        inner,
        signature,
        *(given["delta"], given["added"], A, given.get("B", B), given.get("C", C), given["before"]),
    )
    body = helper.make_graph(
        inner.nodes,
        "block",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in given.values()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in (last, y)],
    )
    batch = op("Slice", op("Shape", delta), op.ints(0), op.ints(1))
    shape = op("Concat", batch, op.ints(1, signature.groups, per_group, signature.states), axis=0)
    nothing = op("ConstantOfShape", shape)
    blocks, last = "blocks_of_y", "state_behind_all"
    op.nodes.append(
        helper.make_node("Scan", [nothing, *scanned.values()], [last, blocks], body=body, num_scan_inputs=len(scanned))
    )
    y = op("Reshape", op("Transpose", blocks, perm=[1, 0, 2, 3]), op.ints(0, -1, channels))
    return op("Slice", y, op.ints(0), tokens, op.ints(1)), last
