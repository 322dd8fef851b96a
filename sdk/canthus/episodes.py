"""Episodes: when an expression began and when it ended, which is what most apps act on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Episode:
    """A time in which one expression was steady.

    Attributes:
        label: the expression.
        onset_us: when it began, in microseconds of the sensor's clock.
        offset_us: when it ended; None while it lasts.
        peak, mean: of its probability, 0 to 1, so far.
    """

    label: str
    onset_us: int
    offset_us: int | None
    peak: float
    mean: float


class EpisodeTracker:
    """Makes episodes of steady answers, one after another.

    An episode is told as soon as it has lasted `shortest_us`, and again when it has ended. Where the answer is
    unsure, or missing, the episode goes on for `shortest_us`, and ends at its last sure answer if none came by then.
    """

    def __init__(self, shortest_us: int = 250_000) -> None:
        self._shortest_us = shortest_us
        self._label: str | None = None
        self._onset_us = self._seen_us = self._answers = 0
        self._peak = self._sum = 0.0
        self._told = False

    @property
    def current(self) -> Episode | None:
        """The one that lasts, if it has been told."""
        return self._made(None) if self._told else None

    def update(self, time_us: int, label: str | None, confidence: float) -> list[Episode]:
        """One more answer; returns the episodes that have ended or begun with it, in this order.

        Args:
            time_us: of its frame, in microseconds of the sensor's clock.
            label: the steady one; None where the answer is unsure.
            confidence: its probability.
        """
        told: list[Episode] = []
        if self._label is not None:
            passed = time_us - self._seen_us
            if passed <= 0 or passed > self._shortest_us:  # nothing is known of what was between
                told = self._ended(self._seen_us)
            elif label not in (None, self._label):
                told = self._ended(time_us)
        if label is None:
            return told
        if self._label is None:
            self._label, self._onset_us, self._answers, self._peak, self._sum = label, time_us, 0, 0.0, 0.0
        self._seen_us = time_us
        self._answers += 1
        self._sum += confidence
        self._peak = max(self._peak, confidence)
        if not self._told and time_us - self._onset_us >= self._shortest_us:
            self._told = True
            told.append(self._made(None))
        return told

    def end(self) -> list[Episode]:
        """Nothing more will come: the episode that lasted, ended."""
        return self._ended(self._seen_us)

    def _ended(self, offset_us: int) -> list[Episode]:
        ended = [self._made(offset_us)] if self._told else []
        self._label, self._told = None, False
        return ended

    def _made(self, offset_us: int | None) -> Episode:
        return Episode(str(self._label), self._onset_us, offset_us, self._peak, self._sum / self._answers)
