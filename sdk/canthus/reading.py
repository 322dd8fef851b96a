"""What a stream makes of its answers: whether to believe them, what is steady, and when that began and ended."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from canthus.engine import Engine
from canthus.episodes import Episode, EpisodeTracker
from canthus.expression import UNSURE
from canthus.eye_watch import EyeWatch
from canthus.steady import SteadyFilter

UNTAKEN = 64


class Read(NamedTuple):
    """Of one answer; see `Expression`."""

    steady: str | None = None
    confidence: float | None = None
    unsure: str | None = None


class Reading:
    """Of one stream; time goes by the sensor's clock, and nothing else has a say."""

    def __init__(self, engine: Engine) -> None:
        self.episodes = EpisodeTracker()
        self._visible = engine.visible
        check, eye = engine.eye_check, engine.manifest.eye if engine.eye_check else None
        self._eye = EyeWatch(check, eye.thresholds) if check and eye else None
        self._filter = SteadyFilter(engine.labels, engine.steadiness)
        self._untaken: deque[Episode] = deque(maxlen=UNTAKEN)

    def read(
        self,
        time_us: int,
        probabilities: NDArray[np.float32],
        frame: NDArray[np.uint8],
        event: NDArray[np.uint8],
    ) -> Read:
        """One more answer. One that isn't to be believed takes no part in what is steady.

        Args:
            time_us: of its moment, in microseconds of the sensor's clock.
            probabilities: (labels,), as the network gives them.
            frame, event: uint8 (H, W), engine-sized, of its moment.
        """
        unsure = self._visible.why_not(frame, event)
        odd = self._eye.why_not(time_us, frame, event) if self._eye else None
        unsure = unsure or odd
        if unsure is not None:
            self._untaken.extend(self.episodes.update(time_us, None, 0.0))
            return Read(UNSURE, 0.0, unsure)
        self._filter.update(time_us, probabilities)
        label, confidence = self._filter.label, self._filter.confidence
        self._untaken.extend(self.episodes.update(time_us, label, confidence))
        return Read(label, confidence)

    def take(self) -> list[Episode]:
        """Episodes that have begun or ended since the last call."""
        taken = list(self._untaken)
        self._untaken.clear()
        return taken

    def end(self) -> list[Episode]:
        """As `take`, with the one that lasted."""
        return [*self.take(), *self.episodes.end()]
