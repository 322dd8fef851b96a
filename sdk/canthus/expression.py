"""What canthus reads from an eye."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

UNSURE = "unsure"
REASONS = ("eye closed", "no eye", "too dark", "too bright", "unfamiliar")
"""Why an answer isn't to be believed."""


@dataclass(frozen=True, eq=False)  # arrays have no single truth value to compare by
class Expression:
    """The expression of the wearer at one moment.

    Attributes:
        label: what the network said of this moment alone: its likeliest expression.
        probabilities: float32 (7,), in the order of `labels`, of the same.
        labels: all expressions that the engine tells apart.
        time_us: time stamp of the frame, in microseconds of the sensor's clock.
        latency_us: from the frame's arrival at the stream to the answer, in microseconds.
        experts: the experts that answered, the one with more weight first.
        steady: what to act on: the expression that lasts, or `UNSURE`; None if the stream was asked for no more than
            what the network says.
        confidence: the probability of `steady`, 0 to 1; 0 where that is unsure, None where it is None.
        unsure: why this answer isn't to be believed, one of `REASONS`; None if it is.
        missing: what wasn't there as it should have been: `events`, none in the window; `first`, the moment
            before was not where it should be in time, since frames were dropped. Empty if all was there.
    """

    label: str
    probabilities: NDArray[np.float32]
    labels: tuple[str, ...]
    time_us: int
    latency_us: int
    experts: tuple[int, ...]
    missing: tuple[str, ...]
    steady: str | None = None
    confidence: float | None = None
    unsure: str | None = None
