"""`canthus::SelectiveScan` written in standard ONNX operators, for runtimes without canthus's kernels.

The recurrence h[t] = a[t] h[t-1] + b[t] is an associative scan: the pair (a, b) of a run of tokens and that
of the run before it combine to (a a', b + a b'). Combining each token with the one k before it, for
k = 1, 2, 4, ..., reaches all earlier tokens in log2(L) steps (Hillis and Steele, 1986; for Mamba
arXiv 2312.00752, section 3.3.2). No Loop, Scan or If: every runtime's parser takes it, TensorRT's too.
"""

from dataclasses import dataclass

import onnx
from onnx import TensorProto, helper

DOMAIN = "canthus"
INPUTS = ("u", "delta", "A", "B", "C", "D", "z", "delta_bias")
MINIMUM_OPSET = 18
_END = 2**31 - 1  # a Slice's end beyond any axis


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


class _Nodes:
    """Collects nodes; each call adds one and returns its output's name."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []

    def __call__(self, op_type: str, *inputs: str, output: str | None = None, **attributes: object) -> str:
        output = output or f"{op_type}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op_type, list(inputs), [output], **attributes))
        return output

    def ints(self, *values: int) -> str:
        return self("Constant", value_ints=list(values))


def _write(signature: Signature, opset: int, overload: str) -> onnx.FunctionProto:
    op = _Nodes()
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
    state = _scan(op, decay, state, signature.max_tokens)

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
        last = op("Slice", state, op.ints(-1), op.ints(_END), op.ints(1))
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


def _scan(op: _Nodes, decay: str, state: str, max_tokens: int) -> str:
    """The states after every token, from `a` and `b` of every token; axis 1 is tokens."""
    from_start, one = op.ints(0), op.ints(1)
    shift = 1
    while shift < max_tokens:
        head = from_start, op.ints(shift), one
        tail = op.ints(shift), op.ints(_END), one
        before = from_start, op.ints(-shift), one
        tail_decay = op("Slice", decay, *tail)
        carried = op("Mul", tail_decay, op("Slice", state, *before))
        state = op("Concat", op("Slice", state, *head), op("Add", op("Slice", state, *tail), carried), axis=1)
        shift *= 2
        if shift < max_tokens:
            tail_decay = op("Mul", tail_decay, op("Slice", decay, *before))
            decay = op("Concat", op("Slice", decay, *head), tail_decay, axis=1)
    return state
