"""What became of each frame, seen from outside of the stream."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any, NamedTuple

from canthus.bench.histogram import Histogram
from canthus.bench.reference import Reference
from canthus.expression import Expression

SLICES = 100
"""Into how many parts the run is cut, to show how latency went on."""

_ON_THE_WAY = ("accumulate", "resize", "react")  # between a frame and its answer; `prime` comes after


class Slice(NamedTuple):
    """A part of the run; microseconds, of the frames that were due in it."""

    begin_s: float
    median_us: float
    worst_us: int


class Snapshot(NamedTuple):
    """How it stands, to tell someone who waits."""

    frames: int
    missed: int
    median_us: float | None
    p99_us: float | None


class _Pushed(NamedTuple):
    time_us: Any  # whatever a damaged source gave
    due_ns: int


class Tally:
    """Latencies of the frames that were due from `begin_ns` until `end_ns`.

    A frame's latency counts from when it was due, not from when it was pushed, to the first answer for it or for a
    newer one. So neither a stream that holds up whoever pushes, nor one that leaves frames out, looks faster than it
    is: both would hide the frames that wait (coordinated omission).

    Attributes:
        tenths: latencies in microseconds, by the tenth of the time that the frame was due in.
        stages: what an answer's time went into, in microseconds.
        slices: how latency went on.
        frames: that were due.
        unanswered: of them, those that got no answer of their own.
        late: of them, those whose own answer came after the deadline.
        pushed_frames: all, in the time to warm up too.
        answers: all, likewise.
        compared, different: answers that were compared with those of the synchronous stream.
    """

    def __init__(self, begin_ns: int, end_ns: int, deadline_us: int, reference: Reference | None) -> None:
        """Without a reference, answers are not compared."""
        self._begin_ns, self._length_ns = begin_ns, end_ns - begin_ns
        self._deadline_us = deadline_us
        self._reference = reference
        self._lock = threading.Lock()
        self._waiting: deque[_Pushed] = deque()
        self._answered = threading.Event()
        self.tenths = [Histogram() for _ in range(10)]
        self._all = Histogram()
        self.stages = {name: Histogram() for name in ("pushed late", "waiting", *_ON_THE_WAY, "prime")}
        self.slices: list[Slice] = []
        self._slice, self._slice_histogram = 0, Histogram()
        self.frames = self.unanswered = self.late = 0
        self.pushed_frames = self.answers = self.compared = self.different = 0

    @property
    def latencies(self) -> Histogram:
        """Of all."""
        return self._all

    def push(self, time_us: Any, due_ns: int) -> None:
        """A frame of this time will now be pushed."""
        with self._lock:
            self._answered.clear()
            self.pushed_frames += 1
            self._waiting.append(_Pushed(time_us, due_ns))

    def answer(self, expression: Expression, costs_us: dict[str, int], now_ns: int) -> None:
        """An answer came."""
        with self._lock:
            self.answers += 1
            own = max((i for i, frame in enumerate(self._waiting) if frame.time_us == expression.time_us), default=-1)
            for i in range(own + 1):
                frame = self._waiting.popleft()
                self._end(frame, now_ns, answered=i == own)
                if i == own and self._is_measured(frame):
                    self._enter_stages((now_ns - frame.due_ns) // 1000, expression.latency_us, costs_us)
            self._compare(expression)
            self._answered.set()

    def wait(self, seconds: float) -> bool:
        """Wait for an answer to what was pushed last; whether it came."""
        return self._answered.wait(seconds)

    def close(self, now_ns: int) -> None:
        """No more answers will come: a frame that waits has waited for this long at least."""
        with self._lock:
            while self._waiting:
                self._end(self._waiting.popleft(), now_ns, answered=False)
            self._close_slice()

    def snapshot(self) -> Snapshot:
        """How it stands."""
        with self._lock:
            return Snapshot(
                self.frames, self.unanswered + self.late, self._all.percentile(50), self._all.percentile(99)
            )

    def _is_measured(self, frame: _Pushed) -> bool:
        return 0 <= frame.due_ns - self._begin_ns < self._length_ns

    def _end(self, frame: _Pushed, now_ns: int, answered: bool) -> None:
        if not answered and self._reference is not None:
            self._reference.left_out(frame.time_us)
        if not self._is_measured(frame):
            return
        latency_us = (now_ns - frame.due_ns) // 1000
        self.frames += 1
        self.unanswered += not answered
        self.late += answered and latency_us > self._deadline_us
        since_ns = frame.due_ns - self._begin_ns
        self._all.add(latency_us)
        self.tenths[10 * since_ns // self._length_ns].add(latency_us)
        number = SLICES * since_ns // self._length_ns
        if number != self._slice:
            self._close_slice()
            self._slice = number
        self._slice_histogram.add(latency_us)

    def _close_slice(self) -> None:
        median = self._slice_histogram.quantile(0.5)
        if median is not None:
            begin_s = self._slice * self._length_ns / SLICES / 1e9
            self.slices.append(Slice(begin_s, median, self._slice_histogram.largest))
        self._slice_histogram.clear()

    def _enter_stages(self, total_us: int, in_stream_us: int, costs_us: dict[str, int]) -> None:
        costs = {name: costs_us.get(name, 0) for name in _ON_THE_WAY}
        self.stages["pushed late"].add(total_us - in_stream_us)
        self.stages["waiting"].add(in_stream_us - sum(costs.values()))
        for name, cost in costs.items():
            self.stages[name].add(cost)
        if "prime" in costs_us:
            self.stages["prime"].add(costs_us["prime"])

    def _compare(self, expression: Expression) -> None:
        agrees = None if self._reference is None else self._reference.agrees(expression)
        if agrees is not None:
            self.compared += 1
            self.different += not agrees
