"""A source's packets into a live stream, at the pace at which they happened."""

from __future__ import annotations

import threading
import time

from canthus.events import Events
from canthus.live.sensor_clock import JUMP_US
from canthus.live.stream import LiveStream
from canthus.sources import Packet, Source


def feed(source: Source, live: LiveStream, stop: threading.Event, speed: float = 1.0) -> None:
    """Push every packet of `source`, until it ends or `stop` is set.

    Args:
        speed: of a recording, times real time. A live source sets its own pace.

    Raises:
        SourceError: the source can't be read on; all before was pushed.
    """
    begin: tuple[int, float] | None = None
    before = 0
    for packet in source:
        is_empty = isinstance(packet, Events) and not len(packet.t)
        if not source.is_live and not is_empty:
            t = time_of(packet)
            # A time that jumped may be damage, and is not waited for; nor is a pause that long.
            if begin is None or abs(t - before) > JUMP_US:
                begin = t, time.monotonic()
            before = t
            due = begin[1] + (t - begin[0]) / 1e6 / speed
            stop.wait(max(0.0, due - time.monotonic()))
        if stop.is_set():
            return
        live.push(packet)


def time_of(packet: Packet) -> int:
    """When a packet is complete, by the sensor's clock: its newest time, in microseconds."""
    if isinstance(packet, Events):
        return int(packet.t[-1]) if len(packet.t) else 0
    return packet.time_us
