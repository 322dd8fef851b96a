"""Shares and recalls of some sequences, and how far they would be others with other volunteers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from canthus_model.see.names import SequenceName

RESAMPLED = 2000
"""How often the volunteers are drawn anew."""

CONFIDENCE = 95  # percent of what was drawn lies within an interval

Drawn = NDArray[np.float64]
"""A figure, percent, (1 + RESAMPLED,): of the volunteers that there are, then of each lot drawn from them.

NaN where no sequence of a lot bears on it. Of one volunteer no lots are drawn.
"""


@dataclass(frozen=True)
class Estimate:
    """A figure in percent.

    Attributes:
        value: of all sequences; None if none bears on it.
        low, high: between these lie 95 % of its values with volunteers drawn anew, with replacement (the percentile
            bootstrap of Efron, 1979); None with fewer than two volunteers.
    """

    value: float | None
    low: float | None = None
    high: float | None = None

    @property
    def half(self) -> float | None:
        """Half of what lies between low and high."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2

    def __str__(self) -> str:
        if self.value is None:
            return "–"
        return f"{self.value:.1f}" + ("" if self.half is None else f" ± {self.half:.1f}")


class Panel:
    """Sequences, and whose they are.

    Attributes:
        names: of the sequences, N of them.
        volunteers: how many there are.
    """

    def __init__(self, names: Sequence[SequenceName], seed: int = 0) -> None:
        """`seed` decides the lots of volunteers."""
        self.names = tuple(names)
        self._lighting = np.array([name.lighting for name in names])
        self._emotions, self._emotion = np.unique([name.emotion for name in names], return_inverse=True)
        people, self._person = np.unique([name.volunteer for name in names], return_inverse=True)
        self.volunteers = len(people)
        there = np.ones((1, self.volunteers))
        again = np.random.default_rng(seed).multinomial(self.volunteers, there[0] / self.volunteers, RESAMPLED)
        self._lots = np.concatenate((there, again)) if self.volunteers > 1 else there

    @property
    def chance(self) -> float:
        """The UAR of answers that know nothing, in percent."""
        return 100 / len(self._emotions)

    def share(self, true: NDArray[np.bool_]) -> Drawn:
        """Of how many answers (R, N) something is true."""
        return self._ratio(true.mean(0)[:, None], np.ones((len(self.names), 1)))[:, 0]

    def uar(self, right: NDArray[np.bool_], lighting: str | None = None) -> Drawn:
        """The mean of the recalls of the emotions that there are.

        Args:
            right: (R, N), which answers are.
            lighting: under which alone, if any.
        """
        shows = np.eye(len(self._emotions))[self._emotion]
        if lighting is not None:
            shows = shows * (self._lighting == lighting)[:, None]
        recalls = self._ratio(right.mean(0)[:, None] * shows, shows)
        there = ~np.isnan(recalls)
        return _divide(np.where(there, recalls, 0).sum(1), there.sum(1))

    def _ratio(self, hits: NDArray[np.float64], all_of_them: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of sequences (N, C), in percent, for each lot: (1 + RESAMPLED, C)."""
        mine = np.eye(self.volunteers)[self._person].T
        return 100 * _divide(self._lots @ (mine @ hits), self._lots @ (mine @ all_of_them))


def estimate(drawn: Drawn) -> Estimate:
    """A figure, or a difference of two, with its interval."""
    first, lots = float(drawn[0]), drawn[1:][~np.isnan(drawn[1:])]
    if np.isnan(first):
        return Estimate(None)
    if not len(lots):
        return Estimate(first)
    outside = (100 - CONFIDENCE) / 2
    low, high = np.percentile(lots, (outside, 100 - outside))
    return Estimate(first, float(low), float(high))


def _divide(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole > 0)
