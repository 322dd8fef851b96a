"""Durations by their frequency, in memory that doesn't grow with their number."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator

_PER_DOUBLING = 128  # buckets; so a bucket is narrower than 1 % of what is in it
_DOUBLINGS = 34  # 128 us to some 600 hours
_BEYOND = 10
"""A percentile is told if so many durations lie beyond it: with fewer it is chance."""


class Histogram:
    """Durations in whole microseconds; each is kept to within 0.4 %.

    Buckets are as HdrHistogram's: up to 256 us of 1 us, then 128 of equal width in each doubling.
    """

    def __init__(self) -> None:
        self._counts = array("Q", bytes(8 * _PER_DOUBLING * (_DOUBLINGS + 1)))
        self.count = 0
        self._sum = self._squares = 0
        self.smallest = self.largest = 0

    def add(self, us: int) -> None:
        """One more; what is below 0 counts as 0."""
        us = max(us, 0)
        self._counts[_bucket(us)] += 1
        self.smallest = us if self.count == 0 else min(self.smallest, us)
        self.largest = max(self.largest, us)
        self.count += 1
        self._sum += us
        self._squares += us * us

    def include(self, other: Histogram) -> None:
        """Add all that is in another."""
        if other.count == 0:
            return
        for bucket in other._used():
            self._counts[bucket] += other._counts[bucket]
        self.smallest = other.smallest if self.count == 0 else min(self.smallest, other.smallest)
        self.largest = max(self.largest, other.largest)
        self.count += other.count
        self._sum += other._sum
        self._squares += other._squares

    def clear(self) -> None:
        """Begin anew."""
        for bucket in self._used():
            self._counts[bucket] = 0
        self.count = self._sum = self._squares = self.smallest = self.largest = 0

    def quantile(self, share: float) -> float | None:
        """The smallest duration that at least `share` of all do not exceed; None if there are none."""
        rank, seen = max(math.ceil(share * self.count), 1), 0
        for low, high, count in self.buckets():
            seen += count
            if seen >= rank:
                return float(min(max((low + high - 1) / 2, self.smallest), self.largest))
        return None

    def percentile(self, percent: float) -> float | None:
        """As `quantile`, but None too where so few durations lie beyond it that it would be chance."""
        return self.quantile(percent / 100) if self.count >= needed(percent) else None

    @property
    def deviation(self) -> float | None:
        """The standard deviation in microseconds; None if there are none."""
        if self.count == 0:
            return None
        # In integers, exactly: the difference of two large floats would be lost.
        return math.sqrt(self.count * self._squares - self._sum * self._sum) / self.count

    def buckets(self) -> Iterator[tuple[int, int, int]]:
        """(from, to, how many) of each bucket that isn't empty, in microseconds; `to` is outside."""
        for bucket in self._used():
            low, width = _bounds(bucket)
            yield low, low + width, self._counts[bucket]

    def _used(self) -> Iterator[int]:
        if self.count:
            yield from (i for i in range(_bucket(self.smallest), _bucket(self.largest) + 1) if self._counts[i])


def needed(percent: float) -> int:
    """How many durations there must be for a percentile to be told."""
    return math.ceil(round(_BEYOND / (1 - percent / 100), 6))


def _bucket(us: int) -> int:
    doubling = max(us.bit_length() - _PER_DOUBLING.bit_length(), 0)
    if doubling >= _DOUBLINGS:
        return _PER_DOUBLING * (_DOUBLINGS + 1) - 1
    return doubling * _PER_DOUBLING + (us >> doubling)


def _bounds(bucket: int) -> tuple[int, int]:
    """Of a bucket its lowest microsecond, and how many it has."""
    doubling = max(bucket // _PER_DOUBLING - 1, 0)
    return (bucket - doubling * _PER_DOUBLING) << doubling, 1 << doubling
