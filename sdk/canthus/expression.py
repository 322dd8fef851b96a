"""What canthus reads from an eye."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)  # arrays have no single truth value to compare by
class Expression:
    """The expression of the wearer at one moment.

    Attributes:
        label: the likeliest expression.
        probabilities: float32 (7,), in the order of `labels`.
        labels: all expressions that the engine tells apart.
        time_us: time stamp of the frame, in microseconds of the sensor's clock.
        latency_us: from the frame's arrival at the stream to the answer, in microseconds.
        experts: the experts that answered, the one with more weight first.
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
