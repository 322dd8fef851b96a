"""The sizes of an MCO-E Net, and what its training images were."""

from __future__ import annotations

from dataclasses import dataclass

from canthus.manifest import Normalisation

LABELS = ("angry", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
"""The expressions of SEE. Their order in a checkpoint is that of the annotation file it was trained with."""


@dataclass(frozen=True)
class NetworkConfig:
    """Sizes of the network; the defaults are the paper's (arXiv 2505.12007).

    Attributes:
        encoder_width: channels after the first convolution of each ResNet-18.
        features: outputs of each encoder; 4 consecutive ones are a token.
        moe_width: width of the fused vector that router and experts read.
        image_size: (height, width) of the images, in pixels.
        dropout: probability, in training alone, after the fused vector and inside the deep experts.
    """

    encoder_width: int = 64
    features: int = 1000
    moe_width: int = 1024
    image_size: tuple[int, int] = (100, 100)
    dropout: float = 0.5

    @property
    def tokens(self) -> int:
        """Tokens of one modality: those of its first image, then those of its last."""
        return 2 * self.features // TOKEN_WIDTH


SMALL = NetworkConfig(encoder_width=8, features=200, moe_width=40, dropout=0.0)
"""About a million parameters: for tests, and for training on a laptop."""

TOKEN_WIDTH = 4
INNER_CHANNELS = 8
STATES = 16
CONVOLUTION_LENGTH = 4
EXPERTS = 8
EXPERTS_USED = 2


FRAME = Normalisation(mean=0.22616537, std=0.118931554)
EVENT = Normalisation(mean=0.504413, std=0.06928615)

NO_EVENT = 127
"""Grey level of a pixel without events; an image of nothing else is what a stream shows where no events come."""

WINDOW_US = 33_000
"""How long SEE's events are accumulated for one event image, in microseconds: a frame's time."""

SPAN_US = 400_000
"""From a clip's first moment to its last, in microseconds: 12 frames."""
