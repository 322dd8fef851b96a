"""A source's packets into a live stream, at the pace at which they happened."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable

from canthus.events import Events
from canthus.live.sensor_clock import JUMP_US
from canthus.live.stream import LiveStream
from canthus.sources import Packet, Source
from canthus.sources.faulty import FaultySource


def feed(source: Source, live: LiveStream, stop: threading.Event, speed: float = 1.0) -> None:
    """Push every packet of `source`, until it ends or `stop` is set.

    Args:
        speed: of a recording, times real time. A live source sets its own pace.

    Raises:
        SourceError: the source can't be read on; all before was pushed.
    """
    begin: tuple[int, float] | None = None
    before = 0
    for t, packet in _arrivals(source):
        if t is not None and not source.is_live:
            # A time that jumped may be damage, and is not waited for; nor is a pause that long.
            if begin is None or abs(t - before) > JUMP_US:
                begin = t, time.monotonic()
            before = t
            due = begin[1] + (t - begin[0]) / 1e6 / speed
            stop.wait(max(0.0, due - time.monotonic()))
        if stop.is_set():
            return
        live.push(packet)


def _arrivals(source: Source) -> Iterable[tuple[int | None, Packet]]:
    """Packets and when they come, None for an empty one, which tells no time."""
    if isinstance(source, FaultySource):  # its packets' own times may jump
        return source.arrivals()
    return ((None if isinstance(p, Events) and len(p.t) == 0 else time_of(p), p) for p in source)


def time_of(packet: Packet) -> int:
    """When a packet is complete, by the sensor's clock: its newest time, in microseconds."""
    if isinstance(packet, Events):
        return int(packet.t[-1])
    return packet.time_us
