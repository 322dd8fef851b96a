"""A sensor's clock as it can be trusted: it may jump, be reset, or differ from another sensor's."""

from __future__ import annotations

from collections import deque
from statistics import median_low

JUMP_US = 1_000_000
"""Times further apart than this are not of one clock that runs on."""
FURTHEST_US = 2**60
"""No clock shows more, before or after 0: so differences of times, and their sums with offsets, are int64."""


class SensorClock:
    """Tells times that follow from those before from such that jumped.

    One time that jumped is not believed: it may be damage. When the next one of its kind follows from it, the
    clock was set, and the stream begins anew.
    """

    def __init__(self) -> None:
        self.newest_us: int | None = None
        self._suspects: dict[str, int] = {}

    def follows(self, t: int) -> bool:
        """Whether `t` may be of the clock that ran so far."""
        return self.newest_us is None or abs(t - self.newest_us) <= JUMP_US

    def advance(self, kind: str, t: int) -> None:
        """A `kind` came with a time that follows."""
        self.newest_us = t if self.newest_us is None else max(self.newest_us, t)
        self._suspects.pop(kind, None)

    def was_set(self, kind: str, t: int) -> bool:
        """Whether the time `t` that jumped follows from the `kind` before, which jumped too."""
        suspect = self._suspects.get(kind)
        self._suspects[kind] = t
        return suspect is not None and abs(t - suspect) <= JUMP_US and abs(t) <= FURTHEST_US

    def begin(self, t: int) -> None:
        """The clock was set to `t`."""
        self.newest_us = max(-FURTHEST_US, min(t, FURTHEST_US))
        self._suspects.clear()


class ClockOffset:
    """How far two sensors' clocks are apart, from when their packets arrive.

    A packet arrives later than its time, by the way it takes; of many, the quickest has next to no way to wait
    on. So the smallest (arrival - time) of a second is that clock's offset to the host's, as in Cristian's algorithm
    and NTP's clock filter (RFC 5905, 10), and the difference of two such is the offset of the clocks. Of the newest
    seconds the middle one counts: a damaged time spoils its own second only, and a drift is followed since old seconds
    are let go. What it can't see is a difference between the quickest ways.
    """

    _SECONDS = 8

    def __init__(self) -> None:
        self._quickest: dict[str, deque[tuple[int, int]]] = {"events": deque(), "frames": deque()}

    def arrived(self, kind: str, t: int, arrived_ns: int) -> None:
        """A packet of "events" or "frames", whose newest time is `t`, came at `arrived_ns` of the host's clock."""
        second, way = arrived_ns // 10**9, arrived_ns // 1000 - t
        kept = self._quickest[kind]
        if kept and kept[-1][0] == second:
            kept[-1] = (second, min(kept[-1][1], way))
        else:
            kept.append((second, way))
        while kept[0][0] <= second - self._SECONDS:
            kept.popleft()

    @property
    def offset_us(self) -> int | None:
        """What is to be added to an event's time to have it in the frames' clock; None until both have come."""
        events, frames = (self._quickest[kind] for kind in ("events", "frames"))
        if not events or not frames:
            return None
        return median_low(way for _, way in events) - median_low(way for _, way in frames)

    def forget(self) -> None:
        """A clock was set, and the other may have been set by less than shows."""
        for kept in self._quickest.values():
            kept.clear()
