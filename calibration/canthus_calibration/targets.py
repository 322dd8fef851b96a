"""What each kind of device wants of INT8, and why."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """How activations are held in eight bits; weights are int8, symmetric, one scale per output channel.

    Attributes:
        signed: activations are int8; else uint8.
        symmetric: their zero point is 0.
        int32_bias: biases are int32, at the scale of activation times weight; else they stay float32.
        narrow: 7-bit weights are faster on some of its processors, see `weight_scales`.
        cast_int8: a graph may cast int8 constants to float; else what stays in float keeps its weights in float16.
        why: in one sentence.
    """

    signed: bool
    symmetric: bool
    int32_bias: bool
    narrow: bool
    cast_int8: bool
    why: str


TARGETS = {
    "x86": Target(
        signed=False,
        symmetric=False,
        int32_bias=True,
        narrow=True,
        cast_int8=True,
        why="VNNI and AMX multiply unsigned activations with signed weights; signed ones take ONNX Runtime three times "
        "as long; where there is neither, weights of 7 bits are multiplied faster than those of 8",
    ),
    "arm64": Target(
        signed=True,
        symmetric=False,
        int32_bias=True,
        narrow=False,
        cast_int8=True,
        why="SDOT and SMMLA multiply signed with signed; a zero point of -128 keeps ReLU free, as rounding clips there",
    ),
    "tensorrt": Target(
        signed=True,
        symmetric=True,
        int32_bias=False,
        narrow=False,
        cast_int8=False,
        why="TensorRT takes explicit Q/DQ with a zero point of 0 only, int8 constants only before a DequantizeLinear, "
        "and none of int32; images are centred on the way, which it fuses",
    ),
}
"""By the name that `canthus export --target` takes."""
