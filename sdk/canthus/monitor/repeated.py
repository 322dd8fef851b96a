"""A recording over and over, in a time that goes on."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType

from canthus.events import Events
from canthus.live.feed import time_of
from canthus.sources import Packet, Source

_PAUSE_US = 33_333  # about a frame, between the last packet and the first again


class Repeated:
    """A recording that begins again at its end; the times of its packets go on."""

    is_live = False

    def __init__(self, recording: Source) -> None:
        self._recording = recording
        self.sensor = recording.sensor
        self.view = recording.view

    def __iter__(self) -> Iterator[Packet]:
        later_us, newest_us = 0, None
        while True:
            is_first = True
            for packet in self._recording:
                if isinstance(packet, Events) and not len(packet.t):
                    continue
                if is_first and newest_us is not None:
                    later_us = newest_us + _PAUSE_US - _begin(packet)
                is_first = False
                packet = _delayed(packet, later_us)
                newest_us = time_of(packet)
                yield packet
            if is_first:  # nothing in it
                return

    def __enter__(self) -> Repeated:
        self._recording.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._recording.__exit__(kind, error, trace)


def _begin(packet: Packet) -> int:
    return int(packet.t[0]) if isinstance(packet, Events) else packet.time_us


def _delayed(packet: Packet, later_us: int) -> Packet:
    if isinstance(packet, Events):
        return packet._replace(t=packet.t + later_us)
    return packet._replace(time_us=packet.time_us + later_us)
