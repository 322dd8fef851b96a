"""Faults of the sensor's clock: what it shows is off, for a stretch or from then on."""

from __future__ import annotations

from collections.abc import Iterator

from canthus.events import Events
from canthus.sources import Packet
from canthus.sources.faults import Arrival, Stretch, Trouble

_SMALLEST_US, _LARGEST_US = 1e3, 6 * 3600e6
_FOR_GOOD = 0.5  # of the jumps


def jump_forward(arrivals: Iterator[Arrival], trouble: Trouble) -> Iterator[Arrival]:
    """By a millisecond to six hours."""
    yield from _jumps(arrivals, trouble, +1, None)


def jump_back(arrivals: Iterator[Arrival], trouble: Trouble) -> Iterator[Arrival]:
    """By a millisecond to six hours."""
    yield from _jumps(arrivals, trouble, -1, None)


def jump_back_99_ms(arrivals: Iterator[Arrival], trouble: Trouble) -> Iterator[Arrival]:
    """By just that."""
    yield from _jumps(arrivals, trouble, -1, 99_000)


def clock_reset(arrivals: Iterator[Arrival], trouble: Trouble) -> Iterator[Arrival]:
    """To 0, each time."""
    offset_us = 0
    reset_in: Stretch | None = None
    for at_us, packet in arrivals:
        stretch, begin_us = trouble.at(at_us), _begin_of(packet)
        if stretch and stretch != reset_in and begin_us is not None:
            reset_in, offset_us = stretch, -begin_us
            trouble.damaged(at_us)
        yield Arrival(at_us, _shifted(packet, offset_us))


def _begin_of(packet: Packet) -> int | None:
    if isinstance(packet, Events):
        return int(packet.t[0]) if len(packet.t) else None
    return packet.time_us


def _shifted(packet: Packet, by_us: int) -> Packet:
    if isinstance(packet, Events):
        return packet._replace(t=packet.t + by_us)
    return packet._replace(time_us=packet.time_us + by_us)


def _jumps(arrivals: Iterator[Arrival], trouble: Trouble, sign: int, size_us: int | None) -> Iterator[Arrival]:
    for_good_us = 0
    jumped_for_good: Stretch | None = None
    for at_us, packet in arrivals:
        stretch = trouble.at(at_us)
        offset_us = for_good_us
        if stretch and stretch != jumped_for_good:
            jump_us = sign * (size_us or int(_SMALLEST_US * (_LARGEST_US / _SMALLEST_US) ** stretch.dice[0]))
            offset_us += jump_us
            trouble.damaged(at_us)
            if stretch.dice[1] < _FOR_GOOD:
                for_good_us, jumped_for_good = offset_us, stretch
        yield Arrival(at_us, _shifted(packet, offset_us))
