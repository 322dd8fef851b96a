"""The runtimes that can run a bundle's graphs, one file each."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]
Floats = NDArray[np.float32]


class Reaction(NamedTuple):
    """What `react.onnx` computes: logits (B, 7), probabilities (B, 7), expert weights (B, 8)."""

    logits: Floats
    probabilities: Floats
    experts: Floats


class Runtime(Protocol):
    """What an engine asks of a runtime. Images are checked before they get here."""

    name: str

    def prime(self, frame: Images, event: Images) -> tuple[Floats, Floats]:
        """Images (B, H, W) to the features (B, F) of frame and event."""

    def react(self, frame: Images, event: Images, first_frame: Floats, first_event: Floats) -> Reaction:
        """Images (B, H, W) and the first moment's features to an answer."""
