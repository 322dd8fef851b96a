"""How far apart frames are, and what their times say where there are no answers."""

from __future__ import annotations

from collections import deque
from statistics import median

_KEPT = 63
_SHORTEST_US = 1_000
"""Between two frames: no eye camera gives a thousand a second."""
_SURELY_NANOSECONDS = 2 * _SHORTEST_US * 1000


class FrameSpacing:
    """The time from each frame to the next, of the newest ones, by the sensor's clock."""

    def __init__(self) -> None:
        self._newest: int | None = None
        self._spacings: deque[int] = deque(maxlen=_KEPT)

    def note(self, t: int) -> None:
        """A frame came with the time `t`, whatever becomes of it."""
        if self._newest is not None and t != self._newest:
            self._spacings.append(abs(t - self._newest))
        self._newest = t

    def trouble(self, span_us: int) -> str | None:
        """Why frames so far apart give no answers, and what to do; None if that isn't the reason.

        Args:
            span_us: how far apart the two moments are that an answer looks at.
        """
        if not self._spacings:
            return None
        spacing = median(self._spacings)
        if spacing < _SHORTEST_US:
            return (
                f"the frames' times are {spacing:g} apart, which looks like milliseconds: give microseconds, times 1000"
            )
        if spacing >= _SURELY_NANOSECONDS:
            return (
                f"the frames' times are {spacing:,.0f} apart, which looks like nanoseconds: give microseconds, by 1000"
            )
        if spacing > span_us // 2:
            return (
                f"the frames are {spacing / 1e6:.2g} s apart, and an answer looks at two that are {span_us / 1e6:g} s "
                f"apart: give at least {2e6 / span_us:g} frames a second"
            )
        return None
