"""Books: everything that came in ends under one reason, and the counts add up."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True)
class Ledger:
    """What came in, and what became of it.

    Attributes:
        came: how many.
        waiting: how many of them are still to be dealt with.
        ended: how many ended for which reason.
    """

    came: int
    waiting: int
    ended: dict[str, int]

    @property
    def balanced(self) -> bool:
        """Whether nothing is missing and nothing counted twice."""
        return self.came == self.waiting + sum(self.ended.values())

    @property
    def fates(self) -> str:
        """How many ended for which reason, to be read."""
        return ", ".join(f"{count:,} {reason}" for reason, count in self.ended.items())


class Book:
    """A ledger that is being written; its owner sees to it that one thread writes at a time."""

    def __init__(self) -> None:
        self._came = 0
        self._waiting = 0
        self._ended: Counter[str] = Counter()

    def enter(self, count: int = 1) -> None:
        """They came in, and wait."""
        self._came += count
        self._waiting += count

    def end(self, reason: str, count: int = 1) -> None:
        """They no longer wait."""
        if count:
            self._waiting -= count
            self._ended[reason] += count

    def move(self, reason: str, to: str) -> None:
        """One that ended for `reason` ended for another after all."""
        self._ended[reason] -= 1
        self._ended[to] += 1

    def ledger(self) -> Ledger:
        """As it stands."""
        return Ledger(self._came, self._waiting, {reason: count for reason, count in self._ended.items() if count})
