"""Faults of the way to the app: what is lost, comes twice or in another order."""

from __future__ import annotations

from collections.abc import Iterator

from canthus.events import Events
from canthus.sources import Packet
from canthus.sources.faults import Arrival, Trouble


def drops(arrivals: Iterator[Arrival], trouble: Trouble) -> Iterator[Arrival]:
    """A part, up to all, of the frames, and another of the packets of events."""
    for at_us, packet in arrivals:
        stretch = trouble.at(at_us)
        if stretch and trouble.random.random() < 1.3 * stretch.dice[isinstance(packet, Events)]:
            trouble.damaged(at_us)
        else:
            yield Arrival(at_us, packet)


def duplicates(arrivals: Iterator[Arrival], trouble: Trouble) -> Iterator[Arrival]:
    """Packets and frames come up to four times."""
    for at_us, packet in arrivals:
        times = 1
        if trouble.at(at_us):
            times = int(trouble.random.integers(1, 5))
            trouble.damaged(at_us)
        for _ in range(times):
            yield Arrival(at_us, packet)


def reordering(arrivals: Iterator[Arrival], trouble: Trouble) -> Iterator[Arrival]:
    """Up to twenty at a time come in any order, and so do the events in a packet."""
    held: list[Packet] = []
    held_at_us = 0
    for at_us, packet in arrivals:
        stretch = trouble.at(at_us)
        if held and (not stretch or len(held) >= 20 * stretch.dice[0]):
            yield from _in_any_order(held, held_at_us, trouble)
            held = []
        if stretch:
            trouble.damaged(at_us)
            held.append(_shuffled(packet, trouble) if isinstance(packet, Events) else packet)
            held_at_us = at_us
        else:
            yield Arrival(at_us, packet)
    yield from _in_any_order(held, held_at_us, trouble)


def _in_any_order(held: list[Packet], at_us: int, trouble: Trouble) -> Iterator[Arrival]:
    for i in trouble.random.permutation(len(held)):
        yield Arrival(at_us, held[i])


def _shuffled(packet: Events, trouble: Trouble) -> Events:
    order = trouble.random.permutation(len(packet.t))
    return Events(*(array[order] for array in packet))
