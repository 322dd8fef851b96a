"""Whether there is anything to be seen: frames too dark or too bright, and no events either."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TOO_DARK, TOO_BRIGHT = "too dark", "too bright"
_NO_EVENT = 127
_AN_EVENT = 20  # grey levels from where there is none: less is what resizing spreads of a neighbour's


@dataclass(frozen=True)
class Visible:
    """What is least to be seen for an answer to be believed; the defaults are for where nothing was measured.

    Attributes:
        least_contrast: a frame with less shows nothing: the standard deviation of its grey levels, as a part of 255.
        noise: an event image shows no more than noise, if no larger part of its pixels has events.
    """

    least_contrast: float = 1e-4
    noise: float = 0.02

    def why_not(self, frame: NDArray[np.uint8], event: NDArray[np.uint8]) -> str | None:
        """TOO_DARK or TOO_BRIGHT, where nothing is to be seen; None where something is.

        Args:
            frame, event: of one moment, uint8 (H, W), engine-sized.
        """
        if _contrast(frame) >= self.least_contrast or events_share(event[None])[0] > self.noise:
            return None
        return TOO_DARK if frame.mean() < 128 else TOO_BRIGHT


def contrast(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The standard deviation of the grey levels of frames uint8 (N, H, W), 0 to 0.5, as a part of 255: float32 (N,).

    Every third pixel of every third row is looked at: as good, and quicker.
    """
    return np.array([_contrast(one) for one in frame], np.float32)


def _contrast(frame: NDArray[np.uint8]) -> float:
    seen = frame[::3, ::3].ravel().astype(np.float32)
    mean = float(np.add.reduce(seen)) / seen.size
    return math.sqrt(max(float(np.vdot(seen, seen)) / seen.size - mean * mean, 0.0)) / 255


def events_share(event: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Which part of the pixels of event images uint8 (N, H, W) has events, 0 to 1, (N,)."""
    share: NDArray[np.float64] = has_events(event).mean((1, 2))
    return share


def has_events(event: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which pixels of event images have events."""
    return (event < _NO_EVENT - _AN_EVENT) | (event > _NO_EVENT + _AN_EVENT)
