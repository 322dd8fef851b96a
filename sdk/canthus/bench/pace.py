"""Pushing content into a live stream: on time, or as fast as answers come."""

from __future__ import annotations

import time
from collections.abc import Iterable

from canthus.bench.tally import Tally
from canthus.events import Events
from canthus.live.stream import LiveStream
from canthus.sources.faults import Arrival

_PATIENCE_SECONDS = 0.2


def push_on_time(
    arrivals: Iterable[Arrival], live: LiveStream, tally: Tally, start_ns: int, end_ns: int, speed: float
) -> None:
    """Push each packet when it is due, however the stream is doing; the first is due at `start_ns`."""
    first_us: int | None = None
    for at_us, packet in arrivals:
        first_us = at_us if first_us is None else first_us
        due_ns = start_ns + round((at_us - first_us) * 1000 / speed)
        time.sleep(max(0, due_ns - time.monotonic_ns()) / 1e9)
        if due_ns >= end_ns:
            if isinstance(packet, Events):
                live.push(packet)  # the last frame's
            return
        if not isinstance(packet, Events):
            tally.push(packet.time_us, due_ns)
        live.push(packet)


def push_as_answers_come(arrivals: Iterable[Arrival], live: LiveStream, tally: Tally, end_ns: int) -> None:
    """Push each frame as soon as the one before has its answer: it is due then."""
    unanswered = False
    for _, packet in arrivals:
        if isinstance(packet, Events):
            live.push(packet)
            if unanswered:  # the frame before has all of its events now
                _wait(live, tally)
                unanswered = False
            continue
        if unanswered:
            _wait(live, tally)
        now_ns = time.monotonic_ns()
        if now_ns >= end_ns:
            return
        tally.push(packet.time_us, now_ns)
        live.push(packet)
        unanswered = True


def _wait(live: LiveStream, tally: Tally) -> None:
    if not tally.answers or not tally.wait(_PATIENCE_SECONDS):
        live.drain(_PATIENCE_SECONDS)  # a frame may get no answer
