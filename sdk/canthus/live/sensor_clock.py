"""A sensor's clock as it can be trusted: it may jump, be reset, or differ from another sensor's."""

from __future__ import annotations

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

    A packet arrives later than its time, by the way it takes; of some, the quickest has next to no way to wait
    on. So the smallest (arrival - time) of a quarter of a second is that clock's offset to the host's, as in Cristian's
    algorithm and NTP's clock filter (RFC 5905, 10), and the difference of two such is the offset of the clocks. Of the
    newest quarters' differences the middle one counts: a damaged time spoils its own quarter only, both clocks may be
    set at once, and a drift is followed since old quarters are let go. What it can't see is a difference between the
    quickest ways.
    """

    _QUARTERS = 32

    def __init__(self) -> None:
        self._quickest: dict[int, dict[str, int]] = {}  # by quarter of a second and kind

    def arrived(self, kind: str, t: int, arrived_ns: int) -> None:
        """A packet of "events" or "frames", whose newest time is `t`, came at `arrived_ns` of the host's clock."""
        quarter, way = arrived_ns // (10**9 // 4), arrived_ns // 1000 - t
        ways = self._quickest.setdefault(quarter, {})
        ways[kind] = min(way, ways.get(kind, way))
        for old in [kept for kept in self._quickest if kept <= quarter - self._QUARTERS]:
            del self._quickest[old]

    @property
    def offset_us(self) -> int | None:
        """What is to be added to an event's time to have it in the frames' clock; None until both have come."""
        both = [ways["events"] - ways["frames"] for ways in self._quickest.values() if len(ways) == 2]
        return median_low(both) if both else None

    def forget(self) -> None:
        """A clock was set, and the other may have been set by less than shows."""
        self._quickest.clear()
