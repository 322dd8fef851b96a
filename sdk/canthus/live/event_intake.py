"""Packets of events on their way into a stream, and what becomes of each event."""

from __future__ import annotations

import numpy as np

from canthus.live.inbox import EventPacket, Inbox
from canthus.live.sensor_clock import JUMP_US
from canthus.live.sensor_time import SensorTime
from canthus.stream import Inserted, Stream


class EventIntake:
    """Takes packets into one stream, and writes down in the inbox's books what became of them."""

    def __init__(self, stream: Stream, time: SensorTime, inbox: Inbox) -> None:
        self._stream = stream
        self._time = time
        self._clock = time.clocks["events"]
        self._inbox = inbox
        self._until_us: int | None = None  # in the frames' clock

    def reached(self, t: int) -> bool:
        """Whether there are events until `t` of the frames' clock."""
        return self._until_us is not None and self._until_us >= t

    def take(self, packet: EventPacket) -> bool:
        """Take what can be used of a packet.

        Returns:
            False if the events' clock was set to the packet's newest time: nothing is taken or written down, and a
            stream that begins anew is to take the packet.
        """
        times = packet.events.t
        if len(times) == 0:
            self._end_whole("taken", 0)
            return True
        clock, newest = self._clock, int(times[-1])
        if clock.newest_us is None:
            clock.begin(int(times[len(times) // 2]))
        assert clock.newest_us is not None
        reference = clock.newest_us
        found = self._insert(packet, reference)
        follows = clock.follows(newest) if found is None else found.jumped < len(times)
        if not follows and clock.was_set("events", newest):
            return False
        if found is None:
            if follows:
                clock.advance("events", newest)
            self._end_whole("unmatched", len(times))
        else:
            self._follow(packet, found, reference)
            self._write_down(found)
        return True

    def _insert(self, packet: EventPacket, reference: int) -> Inserted | None:
        """Into the stream, but for times too far from `reference`; None if the frames' clock isn't matched yet."""
        t, x, y, p = packet.events
        self._time.arrived("events", int(t[-1]), packet.arrived_ns)
        shift = self._time.shift_us
        if shift is None:
            return None
        earliest, latest = reference + shift - JUMP_US, reference + shift + JUMP_US
        return self._stream.insert_events(t + shift if shift else t, x, y, p, earliest, latest)

    def _follow(self, packet: EventPacket, found: Inserted, reference: int) -> None:
        """Note until when there are events now."""
        clock, times = self._clock, packet.events.t
        if found.jumped:
            if found.jumped < len(times) and not clock.follows(int(times[-1])):
                clock.was_set("events", int(times[-1]))
            times = times[np.abs(times - reference) <= JUMP_US]
        if len(times):
            newest = int(times.max())
            if not found.jumped:
                clock.advance("events", newest)
            else:
                clock.newest_us = max(reference, newest)
            newest += self._time.shift_us or 0
            self._until_us = newest if self._until_us is None else max(newest, self._until_us)

    def _write_down(self, found: Inserted) -> None:
        counts = {
            "taken": found.in_order,
            "late": found.late,
            "too late": found.too_late,
            "time jump": found.jumped,
            "invalid": found.invalid,
        }
        reasons = [reason for reason, count in counts.items() if count]
        used = counts["taken"] + counts["late"]
        whole = used == sum(counts.values())
        with self._inbox.arrived:
            for reason, count in counts.items():
                self._inbox.events.end(reason, count)
            self._inbox.packets.end("taken" if whole else "in part" if used else reasons[0])
        for reason in reasons:
            if reason != "taken":
                self._inbox.tell(f"{reason} events", f"events: {reason}")

    def _end_whole(self, reason: str, events: int) -> None:
        with self._inbox.arrived:
            self._inbox.end_packet(reason, events)
