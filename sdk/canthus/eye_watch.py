"""What a stream knows of the eye in view, from an eye check's scores over time."""

from __future__ import annotations

from collections import deque
from statistics import median

import numpy as np
from numpy.typing import NDArray

from canthus.eye import EyeCheck, Thresholds
from canthus.eye_inputs import eye_inputs

EYE_CLOSED, NO_EYE, UNFAMILIAR = "eye closed", "no eye", "unfamiliar"
_WITHIN_US = 450_000  # the median of so long decides: an eye that blinks, or turns away for a moment, is one still
_EVERY_US = 50_000  # the time between two looks, at least: they tell much the same, and cost


class EyeWatch:
    """Of one stream; time goes by the sensor's clock."""

    def __init__(self, check: EyeCheck, thresholds: Thresholds) -> None:
        self._check, self._thresholds = check, thresholds
        self._looks: deque[tuple[int, float, float]] = deque()  # when, and the scores of no eye and of unfamiliar
        self._said: str | None = None

    def why_not(self, time_us: int, frame: NDArray[np.uint8], event: NDArray[np.uint8]) -> str | None:
        """NO_EYE, UNFAMILIAR or EYE_CLOSED; None where there is an open eye like those that were seen before.

        Args:
            time_us: of the moment; if it isn't after the one before, all before it is forgotten.
            frame, event: its images, uint8 (H, W), engine-sized.
        """
        if self._looks and time_us < self._looks[-1][0]:
            self._looks.clear()
        if not self._looks or time_us - self._looks[-1][0] >= _EVERY_US:
            self._said = self._look(time_us, frame, event)
        return self._said

    def _look(self, time_us: int, frame: NDArray[np.uint8], event: NDArray[np.uint8]) -> str | None:
        scores = self._check.scores(eye_inputs(frame[None], event[None]))
        self._looks.append((time_us, float(scores.no_eye[0]), float(scores.unfamiliar[0])))
        while self._looks[0][0] <= time_us - _WITHIN_US:
            self._looks.popleft()
        if median(no_eye for _, no_eye, _ in self._looks) > self._thresholds.no_eye:
            return NO_EYE
        if median(unfamiliar for _, _, unfamiliar in self._looks) > self._thresholds.unfamiliar:
            return UNFAMILIAR
        return EYE_CLOSED if scores.closed[0] > self._thresholds.closed else None
