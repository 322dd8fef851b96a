"""Whether a model is as often right as it says."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from canthus.confidence import Honesty

BINS = 10
_LEAST = 1e-12  # a probability that a logarithm is taken of

Floats = NDArray[np.floating]
Places = NDArray[np.int64]


def honesty(probabilities: Floats, label: Places) -> Honesty:
    """Of answers (N, labels) to clips whose label is (N,)."""
    answered = probabilities.argmax(1)
    own = probabilities[np.arange(len(label)), label].astype(np.float64)
    squares = (probabilities.astype(np.float64) ** 2).sum(1) - 2 * own + 1
    return honesty_of_scores(
        probabilities.max(1), answered == label, float(squares.mean()), float(-np.log(np.maximum(own, _LEAST)).mean())
    )


def honesty_of_scores(
    confidence: Floats, right: NDArray[np.bool_], brier: float | None = None, log_loss: float | None = None
) -> Honesty:
    """The same of the probability of what was answered (N,), and whether that was right (N,)."""
    confidence = confidence.astype(np.float64)
    place = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    apart = np.bincount(place, confidence - right, BINS)
    return Honesty(
        clips=len(right),
        accuracy=100 * float(right.mean()),
        confidence=100 * float(confidence.mean()),
        error=100 * float(np.abs(apart).sum()) / len(right),
        brier=brier,
        log_loss=log_loss,
    )
