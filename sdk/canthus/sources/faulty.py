"""A source with faults put in on purpose, to see how canthus and an app take them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from types import TracebackType
from typing import NamedTuple

import numpy as np

from canthus.errors import SourceError
from canthus.events import Events
from canthus.sources import Packet, Source
from canthus.sources.faults import Arrival, Trouble, clock, malformed, sensor, transport


class Fault(NamedTuple):
    """What happens to arrivals, and one sentence about it."""

    apply: Callable[[Iterator[Arrival], Trouble], Iterator[Arrival]]
    what: str


FAULTS = {
    "event storm": Fault(sensor.event_storm, "20 million events a second, anywhere on the sensor"),
    "hot pixels": Fault(sensor.hot_pixels, "a few pixels give ten thousand events a second each"),
    "flicker": Fault(sensor.flicker, "a lamp at 100 Hz: bursts of events, frames brighter and darker"),
    "frozen frames": Fault(sensor.frozen_frames, "the same image again and again"),
    "black frames": Fault(sensor.black_frames, "images of nothing but zeros"),
    "jump forward": Fault(clock.jump_forward, "the clock is 1 ms to 6 h ahead, for a while or for good"),
    "jump back": Fault(clock.jump_back, "the clock is 1 ms to 6 h behind, for a while or for good"),
    "jump back 99 ms": Fault(clock.jump_back_99_ms, "the clock is 99 ms behind, as a DAVIS346's at times"),
    "clock reset": Fault(clock.clock_reset, "the clock begins at 0 again"),
    "drops": Fault(transport.drops, "frames and packets of events are lost, some or all"),
    "duplicates": Fault(transport.duplicates, "frames and packets of events come several times"),
    "reordering": Fault(transport.reordering, "frames, packets and the events in them come in any order"),
    "truncated packets": Fault(malformed.truncated_packets, "unequal lengths, wrong types, values that can't be"),
}
"""By name, in the order in which they are put in: from the pixels along the way to the app."""


class FaultySource:
    """Another source's packets, of which some are damaged, lost or malformed now and then.

    The same source, kinds and seed give the same faults, whatever the pace. Read it at the times that `arrivals`
    tells: the packets' own times may jump.

    Args:
        source: whose packets are taken; it is closed with this one.
        kinds: names of FAULTS; each comes and goes by itself.
        seed: says when and how.
        until_us: no fault begins later than so long after the first packet; None: they come again and again.

    Raises:
        SourceError: a kind of fault that isn't in FAULTS.
    """

    def __init__(self, source: Source, kinds: Iterable[str], seed: int = 0, until_us: int | None = None) -> None:
        self._source = source
        self._kinds = set(kinds)
        if unknown := sorted(self._kinds - set(FAULTS)):
            raise SourceError(f"no fault is called {unknown[0]!r}; there are: {', '.join(FAULTS)}")
        self._seed, self._until_us = seed, until_us
        self._troubles: list[Trouble] = []
        self.sensor = source.sensor
        self.is_live = source.is_live
        self.view = source.view

    def __enter__(self) -> FaultySource:
        self._source.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._source.__exit__(kind, error, trace)

    def __iter__(self) -> Iterator[Packet]:
        return (arrival.packet for arrival in self.arrivals())

    def arrivals(self) -> Iterator[Arrival]:
        """Every packet and when it comes, by the source's own clock before any fault."""
        untouched = true_arrivals(self._source)
        first = next(untouched, None)
        if first is None:
            return
        start_us = first.at_us
        until_us = None if self._until_us is None else start_us + self._until_us
        arrivals: Iterator[Arrival] = chain([first], untouched)
        self._troubles = []
        for number, (name, fault) in enumerate(FAULTS.items()):
            if name in self._kinds:
                random = np.random.default_rng([self._seed, number])
                trouble = Trouble(random, self.sensor, start_us, until_us)
                self._troubles.append(trouble)
                arrivals = fault.apply(arrivals, trouble)
        yield from arrivals

    @property
    def clean_from_us(self) -> int | None:
        """When the last damage so far came, in the times of `arrivals`; None if there was none."""
        return max((t.damaged_us for t in self._troubles if t.damaged_us is not None), default=None)


def true_arrivals(source: Source) -> Iterator[Arrival]:
    """A source's packets, each when its newest time is over."""
    at_us: int | None = None
    for packet in source:
        own_us = (int(packet.t[-1]) if len(packet.t) else None) if isinstance(packet, Events) else packet.time_us
        times = [t for t in (at_us, own_us) if t is not None]
        if times:
            at_us = max(times)
            yield Arrival(at_us, packet)
