"""The time of a sensor: what its events' and its frames' clocks show, and how far the two are apart."""

from __future__ import annotations

from canthus.live.sensor_clock import ClockOffset, SensorClock


class SensorTime:
    """One clock for events and frames, or two that are matched by when things arrive.

    Attributes:
        clocks: of "events" and of "frames"; both the same, unless they come from two sensors.
    """

    def __init__(self, separate_clocks: bool) -> None:
        events = SensorClock()
        self.clocks = {"events": events, "frames": SensorClock() if separate_clocks else events}
        self._offset = ClockOffset() if separate_clocks else None

    @property
    def offset_us(self) -> int | None:
        """Of the events' clock to the frames', None if they have one clock or it isn't known yet."""
        return self._offset.offset_us if self._offset else None

    @property
    def shift_us(self) -> int | None:
        """What is added to an event's time to have it in the frames' clock, None if it isn't known yet."""
        return self._offset.offset_us if self._offset else 0

    def arrived(self, kind: str, t: int, arrived_ns: int) -> None:
        """A packet of `kind` came whose newest time is `t`; one that jumped tells nothing of the offset."""
        if self._offset and self.clocks[kind].follows(t):
            self._offset.arrived(kind, t, arrived_ns)

    def begin(self, kind: str, t: int) -> None:
        """The clock of `kind` was set to `t`."""
        self.clocks[kind].begin(t)
        if self._offset:
            self._offset.forget()
