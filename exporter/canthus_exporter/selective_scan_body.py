"""`canthus::SelectiveScan` written in standard ONNX operators, for runtimes without canthus's kernels.

No Loop, Scan or If: every runtime's parser takes it, TensorRT's too.
"""

from dataclasses import dataclass

import onnx
from onnx import TensorProto, helper

from canthus_exporter.body_nodes import END, Nodes, scan_by_doubling

DOMAIN = "canthus"
INPUTS = ("u", "delta", "A", "B", "C", "D", "z", "delta_bias")
MINIMUM_OPSET = 18


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

    def per_state(x: str) -> str:  # (B, L, D) to (B, L, G, D/G, 1)
        return op("Reshape", x, op.ints(*shape, 1))

    def projection(name: str, rank: int) -> str:
        if rank == 2:
            return op("Reshape", name, op.ints(*shape[2:], signature.states))
        if rank == 3:
            return op("Unsqueeze", op("Transpose", float32(name), perm=[0, 2, 1]), op.ints(2, 3))
        return op("Unsqueeze", op("Transpose", float32(name), perm=[0, 3, 1, 2]), op.ints(3))

    A = op("Reshape", "A", op.ints(*shape[2:], signature.states))
    decay = op("Exp", op("Mul", per_state(delta), A))
    state = op("Mul", per_state(op("Mul", delta, u)), projection("B", signature.B_rank))
    state = scan_by_doubling(op, decay, state, signature.max_tokens)

    y = op("ReduceSum", op("Mul", state, projection("C", signature.C_rank)), op.ints(4), keepdims=0)
    y = op("Reshape", y, op.ints(0, 0, signature.channels))
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
        last = op("Slice", state, op.ints(-1), op.ints(END), op.ints(1))
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
