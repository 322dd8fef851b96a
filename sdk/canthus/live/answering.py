"""What the worker does with arrivals: a step at a time, by whatever clock it is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from canthus.engine import Engine
from canthus.errors import FrameError
from canthus.expression import Expression
from canthus.live.inbox import EventPacket, FramePacket, Inbox
from canthus.live.sensor_clock import JUMP_US, ClockOffset, SensorClock
from canthus.stream import Inserted, Stream

STALL_NS = 200_000_000
"""A sensor without a frame for so long has stalled."""
BACK_US = 200_000
"""A clock that was set back by less is waited for."""


@dataclass
class Counts:
    """What happened that is no fate of one frame or packet."""

    clocks_set: int = 0
    stalls: int = 0
    frozen_frames: int = 0
    black_frames: int = 0


class Answering:
    """Takes arrivals from an inbox, feeds a `Stream` with them, and delivers its answers.

    It has no thread and no clock of its own: `step` does what is to be done by now.
    """

    def __init__(
        self,
        inbox: Inbox,
        make_stream: Callable[[], Stream],
        deliver: Callable[[Expression], None],
        clock_ns: Callable[[], int],
        *,
        deadline_us: int,
        wait_us: int,
        separate_clocks: bool,
    ) -> None:
        self._inbox = inbox
        self._make_stream = make_stream
        self._stream = make_stream()
        self._deliver = deliver
        self._now = clock_ns
        self._deadline_ns, self._wait_ns = deadline_us * 1000, wait_us * 1000
        self._offset = ClockOffset() if separate_clocks else None
        events = SensorClock()
        self._clocks = {"events": events, "frames": SensorClock() if separate_clocks else events}
        self._frame: FramePacket | None = None
        self._oldest_frame_us: int | None = None
        self._newest_frame_us: int | None = None
        self._events_until_us: int | None = None  # in the frames' clock
        self._last_image: NDArray[np.uint8] | None = None
        self._frame_arrived_ns: int | None = None
        self.counts = Counts()
        self.costs_us: dict[str, int] = {}

    @property
    def engine(self) -> Engine:
        """That answers."""
        return self._stream.engine

    @property
    def offset_us(self) -> int | None:
        """Of the events' clock to the frames', None if they have one clock or it isn't known yet."""
        return self._offset.offset_us if self._offset else None

    @property
    def waiting(self) -> FramePacket | None:
        """The frame that waits for its events."""
        return self._frame

    def stalled(self) -> bool:
        """Whether frames came, and have stopped coming."""
        return self._frame_arrived_ns is not None and self._now() - self._frame_arrived_ns > STALL_NS

    def step(self) -> int | None:
        """Do what is to be done now.

        Returns:
            When to come again, in nanoseconds of the clock, 0 for at once; None: when something arrives.
        """
        while not self._is_due() and (arrival := self._inbox.take()) is not None:
            if isinstance(arrival, EventPacket):
                self._take_events(arrival)
            else:
                self._take_frame(arrival)
        if self._stream.has_work:
            self._prime()
            return 0
        if self._frame is None:
            return None
        if not self._is_due():
            return self._frame.arrived_ns + self._wait_ns
        self._answer(self._frame)
        return 0

    def _is_due(self) -> bool:
        """Whether a frame is to be answered before anything else is taken, as no newer one has come."""
        if self._frame is None or self._inbox.depth[0]:
            return False
        return self._has_its_events(self._frame) or self._now() >= self._frame.arrived_ns + self._wait_ns

    def stop(self) -> None:
        """End the frame that waits."""
        with self._inbox.arrived:
            if self._frame is not None:
                self._inbox.frames.end("stopped")
                self._frame = None

    # Events

    def _take_events(self, packet: EventPacket) -> None:
        times = packet.events.t
        if len(times) == 0:
            self._end_packet("taken", 0)
            return
        clock = self._clocks["events"]
        if clock.newest_us is None:
            clock.begin(int(times[len(times) // 2]))
        found = self._insert(packet, clock)
        newest = int(times[-1])
        follows = clock.follows(newest) if found is None else found.jumped < len(times)
        if not follows and clock.was_set("events", newest):
            self._begin_anew("events", newest)
            found = self._insert(packet, clock)
        if found is None:
            if follows:
                clock.advance("events", newest)
            self._end_packet("unmatched", len(times))
            return
        self._follow(clock, packet, found)
        self._write_down(found)

    def _insert(self, packet: EventPacket, clock: SensorClock) -> Inserted | None:
        t, x, y, p = packet.events
        reference = clock.newest_us
        assert reference is not None
        earliest, latest = reference - JUMP_US, reference + JUMP_US
        if self._offset:
            if clock.follows(int(t[-1])):
                self._offset.arrived("events", int(t[-1]), packet.arrived_ns)
            offset = self._offset.offset_us
            if offset is None:
                return None
            t, earliest, latest = t + offset, earliest + offset, latest + offset
        return self._stream.insert_events(t, x, y, p, earliest, latest)

    def _follow(self, clock: SensorClock, packet: EventPacket, found: Inserted) -> None:
        """Note until when there are events now."""
        times = packet.events.t
        assert clock.newest_us is not None
        if found.jumped:
            if found.jumped < len(times) and not clock.follows(int(times[-1])):
                clock.was_set("events", int(times[-1]))
            times = times[np.abs(times - clock.newest_us) <= JUMP_US]
        if len(times):
            newest = int(times.max())
            if not found.jumped:
                clock.advance("events", newest)
            else:
                clock.newest_us = max(clock.newest_us, newest)
            newest += self.offset_us or 0
            self._events_until_us = max(newest, self._events_until_us or newest)

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

    def _end_packet(self, reason: str, events: int) -> None:
        with self._inbox.arrived:
            self._inbox.end_packet(reason, events)

    # Frames

    def _take_frame(self, packet: FramePacket) -> None:
        self._note_arrival(packet)
        shape = (self._stream.sensor[1], self._stream.sensor[0])
        if any(image is not None and image.shape != shape for image in (packet.frame, packet.event)):
            self._end_frame("malformed", f"a frame is not of the sensor's (height, width) = {shape}")
            return
        clock = self._clocks["frames"]
        if not clock.follows(packet.time_us):
            if not clock.was_set("frames", packet.time_us):
                self._end_frame("time jump", f"a frame's time jumped to {packet.time_us} us")
                return
            self._begin_anew("frames", packet.time_us)
        if self._went_back(packet.time_us) and clock.was_set("frames", packet.time_us):
            self._begin_anew("frames", packet.time_us)
        newest = self._newest_frame_us
        if newest is not None and packet.time_us <= newest:
            same = packet.time_us == newest
            self._end_frame("duplicate" if same else "out of order", "a frame came twice or out of order")
            return
        clock.advance("frames", packet.time_us)
        if self._offset:
            self._offset.arrived("frames", packet.time_us, packet.arrived_ns)
        if self._frame is not None:
            self._end_frame("superseded", "a newer frame came before one was answered")
        self._frame, self._newest_frame_us = packet, packet.time_us
        if self._oldest_frame_us is None:
            self._oldest_frame_us = packet.time_us

    def _went_back(self, t: int) -> bool:
        """Whether `t` is so old that a stream that begins anew answers before this one can."""
        if self._oldest_frame_us is None or self._newest_frame_us is None:
            return False
        return t < self._oldest_frame_us or self._newest_frame_us - t > BACK_US

    def _note_arrival(self, packet: FramePacket) -> None:
        before, self._frame_arrived_ns = self._frame_arrived_ns, packet.arrived_ns
        if before is not None and packet.arrived_ns - before > STALL_NS:
            self.counts.stalls += 1
            self._inbox.tell("stall", f"no frame for {(packet.arrived_ns - before) / 1e9:.2f} s")

    def _has_its_events(self, packet: FramePacket) -> bool:
        return packet.event is not None or (
            self._events_until_us is not None and self._events_until_us >= packet.time_us
        )

    def _answer(self, packet: FramePacket) -> None:
        if self._now() - packet.arrived_ns > self._deadline_ns:
            self._done("late", "a frame's deadline was over before its turn came")
            return
        complete = self._has_its_events(packet)
        missing = () if self._is_alive(packet.frame) else ("frame",)
        try:
            if packet.event is None:
                expression = self._stream.push_frame(packet.frame, packet.time_us)
            else:
                expression = self._stream.push_images(packet.frame, packet.event, packet.time_us)
        except FrameError as error:  # its events were let go
            self._done("too late", str(error))
            return
        except Exception as error:  # whatever an engine raises, the app goes on
            self._done("failed", f"a frame could not be answered: {error}")
            return
        self.costs_us = dict(self._stream.stage_us)
        if expression is None:
            self._done("warming up", "")
            return
        latency_us = (self._now() - packet.arrived_ns) // 1000
        if latency_us * 1000 > self._deadline_ns:
            self._done("late", "an answer was ready after its deadline")
            return
        if not complete and "events" not in expression.missing:
            missing = ("events", *missing)
        self._done("answered", "")
        self._deliver(replace(expression, latency_us=latency_us, missing=(*expression.missing, *missing)))

    def _is_alive(self, image: NDArray[np.uint8]) -> bool:
        """Not black, nor to the last bit the frame before: no sensor gives such."""
        black = not image.any()
        frozen = self._last_image is not None and np.array_equal(image, self._last_image)
        self._last_image = image
        self.counts.black_frames += black
        self.counts.frozen_frames += frozen
        if black or frozen:
            self._inbox.tell("dead frame", "a frame is black, or the same as the one before to the last bit")
        return not (black or frozen)

    def _done(self, reason: str, message: str) -> None:
        self._frame = None
        self._end_frame(reason, message)

    def _end_frame(self, reason: str, message: str) -> None:
        with self._inbox.arrived:
            self._inbox.frames.end(reason)
        if message:
            self._inbox.tell(f"{reason} frame", message)

    # Both

    def _prime(self) -> None:
        try:
            self._stream.prepare()
            self.costs_us["prime"] = self._stream.stage_us["prime"]
        except Exception as error:
            self._inbox.tell("failed prime", f"the first features of a moment could not be computed: {error}")
            self._forget()

    def _begin_anew(self, kind: str, t: int) -> None:
        """The clock of `kind` was set: what was seen before has no place in the new time."""
        self._inbox.tell("clock set", f"the sensor's clock was set to {t} us; the stream begins anew")
        self.counts.clocks_set += 1
        self._clocks[kind].begin(t)
        if self._offset:
            self._offset.forget()
        if self._frame is not None:
            self._done("time jump", "")
        self._forget()

    def _forget(self) -> None:
        self._stream = self._make_stream()
        self._oldest_frame_us = self._newest_frame_us = None
        self._events_until_us = self._last_image = None
