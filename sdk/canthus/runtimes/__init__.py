"""The runtimes that can run a bundle's parts, one file each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]
Floats = NDArray[np.float32]


class Encoder(Protocol):
    """An encoder, ready to run."""

    def encode(self, images: Images) -> Floats:
        """Images (B, H, W) to features (B, F)."""


class Head(Protocol):
    """The head, ready to run."""

    def answer(self, features: Sequence[Floats]) -> Sequence[Floats]:
        """Features (B, F), in the order of `parts.ENCODERS`, to logits (B, 7), probabilities (B, 7), experts (B, 8)."""


class Runtime(Protocol):
    """Opens parts. Which of them run at once is decided by `canthus.network`."""

    name: str

    def open_encoder(self, part: str, graph: bytes, threads: int) -> Encoder:
        """
        Raises:
            EngineError: the runtime isn't here, or can't run the graph.
        """

    def open_head(self, graph: bytes, threads: int) -> Head:
        """
        Raises:
            EngineError: as `open_encoder`.
        """


class Reaction(NamedTuple):
    """What a network makes of a last moment: the head's answer, and the features that it was made from."""

    logits: Floats
    probabilities: Floats
    experts: Floats
    last_frame: Floats
    last_event: Floats


class Network(Protocol):
    """All five parts, as an engine runs them. Images are checked before they get here.

    Attributes:
        name: of the runtime, or of several.
    """

    name: str

    def prime(self, frame: Images, event: Images) -> tuple[Floats, Floats]:
        """Images (B, H, W) of a first moment to the features (B, F) of frame and event."""

    def react(self, frame: Images, event: Images, first_frame: Floats, first_event: Floats) -> Reaction:
        """Images (B, H, W) of a last moment and the first one's features to an answer."""
