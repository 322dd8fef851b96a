"""What a bundle's manifest tells of its confidence: how sure it is against how often it is right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from canthus.visible import Visible

COOLEST, HOTTEST = 0.2, 10.0
"""Between these a temperature is kept, whatever a frame looks like."""


@dataclass(frozen=True)
class Temperature:
    """What logits are divided by: e to the power of `offset + slope * contrast`, of the last moment's frame.

    Above 1 it makes a network less sure. One number would do, if a network were equally much too sure in every light;
    what the light is, the contrast of the frame tells: little in the dark, much between sun and shade.
    """

    offset: float = 0.0
    slope: float = 0.0

    def of(self, contrast: NDArray[np.float32]) -> NDArray[np.float32]:
        """Of frames (N,), by their contrast."""
        found: NDArray[np.float32] = np.exp(np.float32(self.offset) + np.float32(self.slope) * contrast)
        return np.minimum(np.maximum(found, np.float32(COOLEST)), np.float32(HOTTEST))

    def softened(self, logits: NDArray[np.floating], contrast: NDArray[np.float32]) -> NDArray[np.float32]:
        """The probabilities float32 (N, labels) of logits, by the contrast of their frames (N,)."""
        scaled = logits.astype(np.float32, copy=False) / self.of(contrast)[:, None]
        powers: NDArray[np.float32] = np.exp(scaled - np.maximum.reduce(scaled, 1)[:, None])
        powers /= np.add.reduce(powers, 1)[:, None]
        return powers


def shown(temperature: Temperature) -> str:
    """In words: of a frame of one grey all over, and of one that is half black and half white."""
    flat, harsh = temperature.of(np.array([0.0, 0.5], np.float32))
    return f"{flat:.2f} without contrast to {harsh:.2f} with the most"


@dataclass(frozen=True)
class Honesty:
    """How sure some answers are, and how often they are right.

    Attributes:
        clips: how many answers.
        accuracy: percent of them that are right.
        confidence: percent, the mean of the probabilities of what was answered.
        error: percent, the expected calibration error: how far the two are apart, in ten equal steps of confidence,
            each weighed by its answers (Guo et al. 2017, "On Calibration of Modern Neural Networks").
        brier: 0 to 2, the mean squared distance of the probabilities from what is so (Brier 1950); None where not all
            probabilities are known.
        log_loss: the mean of minus the logarithm of what is so's probability, in nats; None as above.
    """

    clips: int
    accuracy: float
    confidence: float
    error: float
    brier: float | None = None
    log_loss: float | None = None


@dataclass(frozen=True)
class Confidence:
    """The temperature of a bundle, and what it does for volunteers who didn't set it.

    Attributes:
        temperature: by which the engine's probabilities are made.
        clips, volunteers: that it was fitted on, held back from the network's training.
        tested: how many volunteers of the testing subset `before` and `after` rest on.
        before, after: by lighting, without the temperature and with it.
        visible: what was least to be seen in nearly all of the clips that it was fitted on.
    """

    temperature: Temperature
    clips: int
    volunteers: int
    tested: int
    before: Mapping[str, Honesty]
    after: Mapping[str, Honesty]
    visible: Visible

    @property
    def worst(self) -> str:
        """The lighting in which the error is largest."""
        return max(self.after, key=lambda name: self.after[name].error)
