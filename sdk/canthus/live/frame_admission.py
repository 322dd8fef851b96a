"""Which frames may be answered: those of the sensor's size whose times go on."""

from __future__ import annotations

from typing import NamedTuple

from canthus.live.inbox import FramePacket
from canthus.live.sensor_time import SensorTime

BACK_US = 200_000
"""A clock that was set back by less is waited for."""


class Refusal(NamedTuple):
    """Why a frame is not used: the reason by which it is counted, and what is logged of it."""

    reason: str
    message: str


class FrameAdmission:
    """Admits frames to one stream, each newer than those before."""

    def __init__(self, sensor: tuple[int, int], time: SensorTime) -> None:
        self._shape = sensor[1], sensor[0]
        self._time = time
        self._clock = time.clocks["frames"]
        self._oldest_us: int | None = None
        self._newest_us: int | None = None

    def clock_was_set(self, packet: FramePacket) -> bool:
        """Whether the frames' clock was set to this one's time, and a stream that begins anew is to admit it."""
        t = packet.time_us
        jumped = not self._clock.follows(t) or self._went_back(t)
        return self._fits(packet) and jumped and self._clock.was_set("frames", t)

    def admit(self, packet: FramePacket) -> Refusal | None:
        """Why a frame can't be used; None if it can, and then it is the newest."""
        t = packet.time_us
        if not self._fits(packet):
            return Refusal("malformed", f"a frame is not of the sensor's (height, width) = {self._shape}")
        if not self._clock.follows(t):
            return Refusal("time jump", f"a frame's time jumped to {t} us")
        if self._newest_us is not None and t <= self._newest_us:
            same = t == self._newest_us
            return Refusal("duplicate" if same else "out of order", "a frame came twice or out of order")
        self._clock.advance("frames", t)
        self._time.arrived("frames", t, packet.arrived_ns)
        self._newest_us = t
        if self._oldest_us is None:
            self._oldest_us = t
        return None

    def _fits(self, packet: FramePacket) -> bool:
        return all(image is None or image.shape == self._shape for image in (packet.frame, packet.event))

    def _went_back(self, t: int) -> bool:
        """Whether `t` is so old that a stream that begins anew answers before this one can."""
        if self._oldest_us is None or self._newest_us is None:
            return False
        return t < self._oldest_us or self._newest_us - t > BACK_US
