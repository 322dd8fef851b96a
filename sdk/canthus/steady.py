"""A steady expression from the answers of a stream: it lasts, as expressions do, and flickers with none of them."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NEUTRAL = "neutral"
_FORGETS_US = 2_000_000  # after a pause as long as this, what was seen before tells nothing
_LEAST = 1e-4  # a probability that a network may give: being wrong once must not count for ever


@dataclass(frozen=True)
class Steadiness:
    """How a stream's answers are made steady; the defaults are for where nothing was measured.

    Attributes:
        lasts_us: how long an expression lasts, in the mean, in microseconds of the sensor's clock. Felt ones last half
            a second to four (Ekman 2003, "Emotions Revealed"), faces at rest much longer.
        independent_us: answers so far apart tell as much as two; nearer ones share what they were made from.
        to_neutral: how often a face comes to rest between two expressions, 0 to 1.
        takes_over: the probability from which on another expression takes the place of the last one.
    """

    lasts_us: int = 5_000_000
    independent_us: int = 100_000
    to_neutral: float = 0.5
    takes_over: float = 0.8


class SteadyFilter:
    """The forward pass of a hidden Markov model over calibrated probabilities, with hysteresis.

    Time goes by the sensor's clock: answers that are missing make no difference but for what they would have told.
    (Rabiner 1989, "A Tutorial on Hidden Markov Models"; the exponent that weighs evidence that isn't independent is
    that of a tempered likelihood.) Of so few numbers plain floats are quicker than arrays.
    """

    def __init__(self, labels: Sequence[str], steadiness: Steadiness) -> None:
        """`labels` in the order of the probabilities that `update` takes."""
        self._labels = tuple(labels)
        self._steadiness = steadiness
        self._to = _transitions(self._labels, steadiness.to_neutral)
        self._time_us: int | None = None
        self._belief = [1 / len(labels)] * len(labels)
        self._place: int | None = None

    def update(self, time_us: int, probabilities: NDArray[np.floating], weight: float = 1.0) -> None:
        """One more answer.

        Args:
            time_us: of its frame, in microseconds of the sensor's clock; if it isn't after the one before, or long
                after it, the filter begins anew.
            probabilities: (labels,); with any NaN the answer tells nothing.
            weight: 0 to 1, how much of what it says counts.
        """
        passed = 0 if self._time_us is None else time_us - self._time_us
        if not 0 < passed < _FORGETS_US:
            self._belief = [1 / len(self._labels)] * len(self._labels)
            self._place = None
            passed = self._steadiness.independent_us
        self._time_us = time_us
        belief = self._foreseen(passed)
        counts = weight * min(passed / self._steadiness.independent_us, 1.0)
        said = probabilities.tolist()
        if counts > 0 and not math.isnan(sum(said)):
            belief = [b * max(p, _LEAST) ** counts for b, p in zip(belief, said, strict=True)]
            total = sum(belief)
            belief = [b / total for b in belief]
        self._belief = belief
        best = max(range(len(belief)), key=belief.__getitem__)
        if self._place is None or belief[best] >= self._steadiness.takes_over:
            self._place = best

    @property
    def label(self) -> str | None:
        """What is steady; None before the first answer."""
        return None if self._place is None else self._labels[self._place]

    @property
    def confidence(self) -> float:
        """The probability of `label`, 0 to 1."""
        return 0.0 if self._place is None else self._belief[self._place]

    @property
    def belief(self) -> tuple[float, ...]:
        """The probability of each label."""
        return tuple(self._belief)

    def _foreseen(self, passed_us: int) -> list[float]:
        """What is to be believed so much later, before anything was seen."""
        stays = math.exp(-passed_us / self._steadiness.lasts_us)
        before, leave = self._belief, 1 - stays
        return [
            stays * own + leave * sum(map(operator.mul, before, into))
            for own, into in zip(before, self._to, strict=True)
        ]


def _transitions(labels: tuple[str, ...], to_neutral: float) -> list[list[float]]:
    """For each label, from where an expression that ends comes to it: (labels, labels)."""
    count = len(labels)
    if count == 1:
        return [[1.0]]
    if NEUTRAL not in labels or count == 2:
        return [[0.0 if one == other else 1 / (count - 1) for other in labels] for one in labels]
    from_others = {one: to_neutral if one == NEUTRAL else (1 - to_neutral) / (count - 2) for one in labels}
    return [
        [0.0 if one == other else 1 / (count - 1) if other == NEUTRAL else from_others[one] for other in labels]
        for one in labels
    ]
