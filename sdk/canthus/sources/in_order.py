"""Two streams of one camera, brought into the order of their times, also where a clock was set or a time is damaged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from canthus.errors import SourceError
from canthus.events import Events
from canthus.live.frame_admission import BACK_US
from canthus.live.sensor_clock import JUMP_US
from canthus.sources import Frame, Packet

_Item = TypeVar("_Item", bound=Events | Frame)


def in_order(events: Iterator[Events], frames: Iterator[Frame]) -> Iterator[Packet]:
    """Every frame after all events up to its time.

    A clock that was set back begins a new time, in which frames and events are matched anew. A single time that jumped
    moves nothing: what has it stays in its place among its own kind.

    Args:
        events: packets in the order in which they were recorded, none of them empty; so `frames`.
    """
    left, right = _Timed[Events](events), _Timed[Frame](frames)
    while left.next is not None or right.next is not None:
        ready = _ready(left.next, right.next)
        if ready == 0:
            assert right.next is not None
            yield right.next.item
            right.advance()
            continue
        assert left.next is not None
        packet = left.next.item
        yield Events(*(array[:ready] for array in packet))
        if ready == len(packet.t):
            left.advance()
        else:  # what comes after the frame waits until it has been given
            left.next = left.next._replace(item=Events(*(array[ready:] for array in packet)))


class _Place(NamedTuple, Generic[_Item]):
    """An item, and where it belongs: in the time that began with the clock's `setting`, at `time_us`."""

    item: _Item
    setting: int
    time_us: int
    jumped: bool


class _Timed(Generic[_Item]):
    """A stream with a look ahead, which tells a clock that was set from one time that jumped.

    Attributes:
        next: what comes next; None at the end.
    """

    def __init__(self, items: Iterator[_Item]) -> None:
        self._items = items
        self._failure: SourceError | None = None
        self._after = self._look()
        self._setting, self._time_us = 0, 0 if self._after is None else _time_of(self._after)
        self.next: _Place[_Item] | None = None
        self.advance()

    def advance(self) -> None:
        """On to the next.

        Raises:
            SourceError: the stream can't be read on; all before was next.
        """
        item = self._after
        if item is None:
            self.next = None
            if self._failure is not None:
                raise self._failure
            return
        self._after = self._look()
        t = _time_of(item)
        back, jumped = t < self._time_us - BACK_US, False
        if back or t > self._time_us + JUMP_US:
            jumped = not self._is_followed(t, back)
            self._setting += back and not jumped  # after a pause, or a clock set ahead, times still tell the order
        if not jumped:
            self._time_us = t
        self.next = _Place(item, self._setting, self._time_us, jumped)

    def _is_followed(self, t: int, back: bool) -> bool:
        """Whether what comes after belongs to the time `t` rather than to the time before."""
        if self._after is None:
            return not back
        after = _time_of(self._after)
        return abs(after - t) < abs(after - self._time_us)

    def _look(self) -> _Item | None:
        try:
            return next(self._items, None)
        except SourceError as error:
            self._failure = error
            return None


def _time_of(item: Events | Frame) -> int:
    """Of a packet of events the middle one's, which no single damaged time moves."""
    return item.time_us if isinstance(item, Frame) else int(item.t[len(item.t) // 2])


def _ready(events: _Place[Events] | None, frame: _Place[Frame] | None) -> int:
    """How many of the events come before the frame."""
    if events is None:
        return 0
    if frame is None or events.setting < frame.setting or (events.jumped and events.time_us <= frame.time_us):
        return len(events.item.t)
    if events.setting > frame.setting or events.jumped:
        return 0
    due = np.flatnonzero(events.item.t <= frame.time_us)
    return int(due[-1]) + 1 if len(due) else 0
