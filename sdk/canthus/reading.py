"""What a stream makes of its answers: whether to believe them, what is steady, and when that began and ended."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from canthus.engine import Engine
from canthus.episodes import Episode, EpisodeTracker
from canthus.expression import UNSURE, Expression
from canthus.steady import SteadyFilter

UNTAKEN = 64


class Reading:
    """Of one stream; time goes by the sensor's clock, and nothing else has a say."""

    def __init__(self, engine: Engine) -> None:
        self.episodes = EpisodeTracker()
        self._visible = engine.visible
        self._filter = SteadyFilter(engine.labels, engine.steadiness)
        self._untaken: deque[Episode] = deque(maxlen=UNTAKEN)

    def read(self, expression: Expression, frame: NDArray[np.uint8], event: NDArray[np.uint8]) -> Expression:
        """The expression, with what is steady; answers that aren't to be believed take no part in that.

        Args:
            expression: as the network said it.
            frame, event: uint8 (H, W), engine-sized, of its moment.
        """
        time_us, why = expression.time_us, self._visible.why_not(frame, event)
        if why is not None:
            self._untaken.extend(self.episodes.update(time_us, None, 0.0))
            return replace(expression, steady=UNSURE, confidence=0.0, unsure=why)
        self._filter.update(time_us, expression.probabilities)
        label, confidence = self._filter.label, self._filter.confidence
        self._untaken.extend(self.episodes.update(time_us, label, confidence))
        return replace(expression, steady=label, confidence=confidence)

    def take(self) -> list[Episode]:
        """Episodes that have begun or ended since the last call."""
        taken = list(self._untaken)
        self._untaken.clear()
        return taken

    def end(self) -> list[Episode]:
        """As `take`, with the one that lasted."""
        return [*self.take(), *self.episodes.end()]
