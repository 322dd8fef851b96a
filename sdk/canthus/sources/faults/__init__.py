"""What sensors, their clocks, and the way to the app do wrong, each as a function over arrivals."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from canthus.sources import Packet


class Arrival(NamedTuple):
    """A packet, and when it came: in microseconds of a clock without faults, which only goes forward."""

    at_us: int
    packet: Packet


class Stretch(NamedTuple):
    """A time in which a fault is on, and two numbers within [0, 1) that say how it is this time."""

    begin_us: int
    end_us: int
    dice: tuple[float, float]


class Trouble:
    """When a fault is on: soon for the first time, then now and then; and what it damaged last.

    Attributes:
        random: draws all that is random about it.
        sensor: (width, height).
        damaged_us: when the last packet came, or should have, that isn't as it was; None before the first.
    """

    def __init__(
        self, random: np.random.Generator, sensor: tuple[int, int], start_us: int, until_us: int | None
    ) -> None:
        """No stretch begins after `until_us`; with None there is no end to them."""
        self.random = random
        self.sensor = sensor
        self.damaged_us: int | None = None
        self._until_us = until_us
        self._next = self._after(start_us, 0.1, 0.8)

    def at(self, at_us: int) -> Stretch | None:
        """The stretch that is on at a time; to be asked in the order of times."""
        while at_us >= self._next.end_us:
            self._next = self._after(self._next.end_us, 0.3, 4.0)
        over = self._until_us is not None and self._next.begin_us > self._until_us
        return self._next if at_us >= self._next.begin_us and not over else None

    def damaged(self, at_us: int) -> None:
        """Note that what came then isn't as it was."""
        self.damaged_us = at_us

    def _after(self, end_us: int, shortest: float, longest: float) -> Stretch:
        begin_us = end_us + int(1e6 * self.random.uniform(shortest, longest))
        duration_us = int(1e6 * self.random.uniform(0.03, 0.3))
        return Stretch(begin_us, begin_us + duration_us, (self.random.random(), self.random.random()))
