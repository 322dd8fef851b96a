"""The five parts of the network: an encoder for each image of the two moments, and the head, which answers."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

FIRST = ("first_frame", "first_event")
LAST = ("last_frame", "last_event")
ENCODERS = (*FIRST, *LAST)
FRAME_ENCODERS = tuple(name for name in ENCODERS if name.endswith("frame"))
EVENT_ENCODERS = tuple(name for name in ENCODERS if name.endswith("event"))
HEAD = "head"
PARTS = (*ENCODERS, HEAD)

Signature = tuple[tuple[str, ...], tuple[str, ...]]
"""Names of a graph's inputs and outputs."""

_ENCODER: Signature = (("image",), ("features",))
_HEAD: Signature = (ENCODERS, ("logits", "probabilities", "experts"))


def shown(part: str, frame: NDArray[Any], event: NDArray[Any]) -> NDArray[Any]:
    """What an encoder sees, (N, ...), of first and last frames and event images, (N, 2, ...) each."""
    return (frame if part in FRAME_ENCODERS else event)[:, 0 if part in FIRST else 1]


def signature(part: str) -> Signature:
    """Of a part's graph.

    An encoder takes `image`, uint8 (B, H, W), and gives `features`, float32 (B, F). The head takes four features by the
    names of their encoders, and gives `logits` and `probabilities` (B, 7) and `experts` (B, 8), float32.
    """
    return _HEAD if part == HEAD else _ENCODER


def member(part: str) -> str:
    """The bundle's member that holds a part's graph."""
    return f"{part}.onnx"
