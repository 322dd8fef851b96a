"""What the host pushed and the worker hasn't taken yet: bounded, and never in the host's way."""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from canthus import _native
from canthus.errors import EventError, FrameError
from canthus.events import Events, as_events, prepare
from canthus.images import check_grey
from canthus.live.ledger import Book
from canthus.live.sensor_clock import FURTHEST_US

_FRAMES = 8
_EVENTS = 4_000_000
_PACKETS = 20_000
_BACKLOG = 200_000
"""Events in the queue, from which on what they took is worth giving back: 2.6 MB."""

logger = logging.getLogger("canthus.live")


class EventPacket(NamedTuple):
    """Events as they came, and when, by the host's monotonic clock in nanoseconds."""

    events: Events
    arrived_ns: int


class FramePacket(NamedTuple):
    """A frame, with its event image where the source has one; `time_us` is the sensor's."""

    frame: NDArray[np.uint8]
    event: NDArray[np.uint8] | None
    time_us: int
    arrived_ns: int


Arrival = EventPacket | FramePacket


class Inbox:
    """A queue of arrivals, and the books over everything that ever came.

    Its lock is held for an append or a count only, so a push never waits for the worker.

    Attributes:
        arrived: signalled when something comes; its lock guards the books.
        frames, packets, events: books; the events' are of single events.
        closed: nothing more is taken.
    """

    def __init__(self) -> None:
        self.arrived = threading.Condition()
        self.frames, self.packets, self.events = Book(), Book(), Book()
        self.closed = False
        self._queue: deque[Arrival] = deque()
        self._queued_frames = self._queued_packets = self._queued_events = 0
        self._was_behind = False
        self._told: set[str] = set()

    def put_events(self, given: tuple[Any, ...], arrived_ns: int) -> None:
        """Take a copy of a packet of events; never raises for what is in it."""
        try:
            events = prepare(as_events(given[0]) if len(given) == 1 else Events(*given))
        except (EventError, TypeError) as error:
            self._refuse_events(given, error)
            return
        copies = Events(*(np.array(array) for array in events))
        with self.arrived:
            self.packets.enter()
            self.events.enter(len(copies.t))
            if self.closed:
                self.end_packet("stopped", len(copies.t))
                return
            self._queue.append(EventPacket(copies, arrived_ns))
            self._queued_packets += 1
            self._queued_events += len(copies.t)
            self._was_behind |= self._queued_events > _BACKLOG
            while self._queued_events > _EVENTS or self._queued_packets > _PACKETS:
                self._drop_oldest(EventPacket, "overflowed")
            self.arrived.notify()

    def put_frame(self, frame: Any, event: Any, time_us: Any, arrived_ns: int) -> None:
        """Take a copy of a frame; never raises for what it is."""
        try:
            check_grey("frame", frame)
            if event is not None:
                check_grey("event image", event)
            _check_time(time_us)
        except FrameError as error:
            with self.arrived:
                self.frames.enter()
                self.frames.end("malformed")
            self.tell("malformed frame", f"a frame can't be used: {error}")
            return
        copies = np.array(frame), None if event is None else np.array(event)
        with self.arrived:
            self.frames.enter()
            if self.closed:
                self.frames.end("stopped")
                return
            self._queue.append(FramePacket(*copies, int(time_us), arrived_ns))
            self._queued_frames += 1
            if self._queued_frames > _FRAMES:
                self._drop_oldest(FramePacket, "superseded")
            self.arrived.notify()

    def take(self) -> Arrival | None:
        """What has arrived first, None if nothing waits."""
        with self.arrived:
            if self._queue:
                return self._pop()
        self._give_back()
        return None

    @property
    def depth(self) -> tuple[int, int]:
        """How many frames and packets of events are queued."""
        return self._queued_frames, self._queued_packets

    def close(self) -> None:
        """Take nothing more, and end what is queued."""
        with self.arrived:
            self.closed = True
            while self._queue:
                self._end(self._pop(), "stopped")
            self.arrived.notify_all()
        self._give_back()

    def end_packet(self, reason: str, events: int) -> None:
        """A whole packet ended for one reason; the caller holds the lock."""
        self.packets.end(reason)
        self.events.end(reason, events)

    def unread(self) -> None:
        """An answer that nobody read made room for a newer one."""
        with self.arrived:
            self.frames.move("answered", "unread")
        self.tell("unread", "answers are not read; the oldest is let go")

    def tell(self, kind: str, message: str) -> None:
        """Log once for each kind of trouble."""
        if kind not in self._told:
            self._told.add(kind)
            logger.warning("%s; counted in `health` from now on, not told again", message)

    def _pop(self) -> Arrival:
        arrival = self._queue.popleft()
        self._count_out(arrival)
        return arrival

    def _give_back(self) -> None:
        """Else the heap would keep for ever what the longest queue took. Takes milliseconds: not under the lock."""
        with self.arrived:
            was_behind, self._was_behind = self._was_behind, False
        if was_behind:
            _native.release_free_memory()

    def _refuse_events(self, given: tuple[Any, ...], error: Exception) -> None:
        count = max((array.size for array in given if isinstance(array, np.ndarray)), default=0)
        with self.arrived:
            self.packets.enter()
            self.events.enter(count)
            self.end_packet("malformed", count)
        self.tell("malformed events", f"a packet of events can't be used: {error}")

    def _drop_oldest(self, kind: type, reason: str) -> None:
        place = next(i for i, arrival in enumerate(self._queue) if isinstance(arrival, kind))
        dropped = self._queue[place]
        del self._queue[place]
        self._count_out(dropped)
        self._end(dropped, reason)
        self.tell(reason, f"the worker is behind: {reason} {'frame' if kind is FramePacket else 'packet of events'}")

    def _count_out(self, arrival: Arrival) -> None:
        if isinstance(arrival, FramePacket):
            self._queued_frames -= 1
        else:
            self._queued_packets -= 1
            self._queued_events -= len(arrival.events.t)

    def _end(self, arrival: Arrival, reason: str) -> None:
        if isinstance(arrival, FramePacket):
            self.frames.end(reason)
        else:
            self.end_packet(reason, len(arrival.events.t))


def _check_time(time_us: Any) -> None:
    if not isinstance(time_us, int | np.integer) or isinstance(time_us, bool):
        raise FrameError(f"its time is a {type(time_us).__name__}; give whole microseconds")
    if abs(int(time_us)) > FURTHEST_US:
        raise FrameError(f"its time {time_us} is no sensor's; give microseconds of the sensor's clock")
