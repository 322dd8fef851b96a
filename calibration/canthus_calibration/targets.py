"""What each kind of device wants of INT8, and why."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """How activations are held in eight bits; weights are int8, symmetric, one scale per output channel.

    Attributes:
        signed: activations are int8; else uint8.
        symmetric: their zero point is 0.
        why: in one sentence.
    """

    signed: bool
    symmetric: bool
    why: str


TARGETS = {
    "x86": Target(
        signed=False,
        symmetric=False,
        why="VNNI and AMX multiply unsigned activations with signed weights; signed ones take ONNX Runtime three times "
        "as long",
    ),
    "arm64": Target(
        signed=True,
        symmetric=False,
        why="SDOT and SMMLA multiply signed with signed; a zero point of -128 keeps ReLU free, as rounding clips there",
    ),
    "tensorrt": Target(
        signed=True,
        symmetric=True,
        why="TensorRT takes explicit Q/DQ with a zero point of 0 only; images are centred on the way, which it fuses",
    ),
}
"""By the name that `canthus export --target` takes. An x86 without VNNI saturates: `canthus verify` tells."""
