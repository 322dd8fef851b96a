"""The stream over one sensor: events and frames go in, expressions come out."""

from __future__ import annotations

import time
from collections import deque
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from canthus._native import EventWindow, Resize
from canthus.engine import Answer, Engine, Features
from canthus.episodes import Episode
from canthus.errors import EventError, FrameError, ViewError
from canthus.events import Events, as_events, prepare
from canthus.expression import Expression
from canthus.images import check_grey
from canthus.reading import Read, Reading
from canthus.view import View

Image = NDArray[np.uint8]

_KEPT_US = 1_000_000
_KEPT_EVENTS = 4_000_000  # 200 ms of the worst storms; some 100 MB, given back when they are over


class Inserted(NamedTuple):
    """What became of a packet's events; the counts add up to its length.

    Attributes:
        in_order: taken.
        late: taken, though newer ones had come before.
        too_late: no frame that may still come looks at their time.
        jumped: of a time outside the limits that were given.
        invalid: outside the sensor, or of a polarity that is neither 0 nor 1.
    """

    in_order: int
    late: int
    too_late: int
    jumped: int
    invalid: int


class _Moment(NamedTuple):
    """A moment's engine-sized images."""

    time_us: int
    frame: Image
    event: Image


class Stream:
    """Reads expressions from one sensor. Synchronous, for one thread, and deterministic.

    No clock but the sensor's has a say: the same events and frames give the same answers, however the events
    were cut into packets and however fast they came.

    Args:
        engine: a loaded bundle; several streams may share one.
        sensor: (width, height) in pixels.
        view: how the camera is mounted; None is `View()`, upright and read in the middle.
        steady: also tell what is steady, and when it began and ended; else expressions hold no more than what the
            network says.

    Raises:
        FrameError: the sensor is empty.
        ViewError: the view's roi lies outside the sensor.
    """

    def __init__(
        self,
        engine: Engine,
        sensor: tuple[int, int] = (346, 260),
        view: View | None = None,
        *,
        steady: bool = True,
    ) -> None:
        self.engine = engine
        self._reading = Reading(engine) if steady else None
        self.sensor = sensor
        self.view = View() if view is None else view
        if not isinstance(self.view, View):
            raise ViewError(f"the view is a {type(view).__name__}, not a canthus.View; give View(roi=...)")
        self.roi = self.view.region(sensor, engine.image_size)
        """(left, top, width, height) of the part that is read, in the sensor's own pixels."""
        left, top, roi_width, roi_height = self.roi
        box = (left, top, left + roi_width, top + roi_height)
        height, width = engine.image_size
        try:
            self._window = EventWindow(*sensor, engine.event_contribution, engine.event_neutral, _KEPT_US, _KEPT_EVENTS)
            self._resize = Resize(*sensor, box, width, height, self.view.mirror, self.view.rotate // 90)
        except ValueError as error:
            raise FrameError(f"sensor {sensor} and roi {self.roi}: {error}") from error
        self._event_image = np.empty((sensor[1], sensor[0]), np.uint8)
        self._newest_event_us: int | None = None
        self._oldest_frame_us: int | None = None
        self._newest_frame_us: int | None = None
        self._unprimed: _Moment | None = None
        self._firsts: deque[tuple[int, Features]] = deque()
        self.stage_us: dict[str, int] = {}
        """What each stage took when it last ran, in microseconds: accumulate, resize, react, prime."""

    def push_events(self, t: Any, x: Any = None, y: Any = None, p: Any = None) -> None:
        """Give events, in the order of their times; packets of any size.

        Args:
            t: integers (N,), microseconds of the sensor's clock; or all events as one structured array with the
                fields t (or timestamp), x, y, p (or polarity), or as a dv_processing.EventStore.
            x, y: integers (N,), column and row.
            p: bool or integers (N,), 1 brighter, 0 or -1 darker.

        Raises:
            EventError: wrong types or lengths, events that go back in time or lie outside the sensor. None of
                the packet was taken.
        """
        given = as_events(t) if x is None and y is None and p is None else Events(t, x, y, p)
        events = prepare(given)
        refused = self._window.push(*events)
        if refused is not None:
            raise self._refusal(given, refused)
        if len(events.t):
            self._newest_event_us = int(events.t[-1])

    def insert_events(self, t: Any, x: Any, y: Any, p: Any, earliest_us: int, latest_us: int) -> Inserted:
        """As `push_events`, for a sensor whose events come late or damaged: each is taken to its place in time,
        and one that can't be used is counted.

        Args:
            earliest_us, latest_us: times beyond are taken for a clock that jumped.

        Raises:
            EventError: wrong types or lengths. None of the packet was taken.
        """
        newest = self._newest_frame_us
        useful_from = earliest_us if newest is None else newest - self.engine.window_us + 1
        return Inserted(*self._window.insert(*prepare(Events(t, x, y, p)), earliest_us, latest_us, useful_from))

    def push_frame(self, image: Image, t: int) -> Expression | None:
        """Give a frame, after the events up to its time.

        Args:
            image: grey, uint8 (height, width), of the sensor's size.
            t: microseconds of the sensor's clock.

        Returns:
            The expression at t, or None until there was a frame `span_us` (0.4 s) before.

        Raises:
            FrameError: another size or type, or a time that is not after the last frame's. The stream is as
                it was before.
        """
        start = time.perf_counter_ns()
        self._check_image("frame", image)
        t = self._check_time(t)
        window_us = self.engine.window_us
        try:
            self._window.image(t, window_us, self._event_image)
        except IndexError as error:
            raise FrameError(
                f"frame at {t} us comes too late: the newest event is at {self._newest_event_us} us, and only "
                f"those of one second are kept, {_KEPT_EVENTS // 10**6} million at most; give events and frames in "
                "the order of their times"
            ) from error
        self._took("accumulate", start)
        missing = () if self._window.count(t, window_us) else ("events",)
        return self._answer(image, self._event_image, t, missing, start)

    def push_images(self, frame: Image, event: Image, t: int) -> Expression | None:
        """As `push_frame`, with an event image that was already accumulated, uint8 (height, width)."""
        start = time.perf_counter_ns()
        self._check_image("frame", frame)
        self._check_image("event image", event)
        return self._answer(frame, event, self._check_time(t), (), start)

    def prepare(self) -> None:
        """Do the work for later answers that the newest frame left: call it when the app has a moment.

        It takes about as long as an answer. Where it isn't called, the next frame does it first.
        """
        if self._unprimed is not None:
            time_us, frame, event = self._unprimed
            start = time.perf_counter_ns()
            self._firsts.append((time_us, self.engine.prime(frame, event)))
            self._unprimed = None
            self._took("prime", start)

    @property
    def episode(self) -> Episode | None:
        """The expression that lasts, as it stands; None between two."""
        return self._reading.episodes.current if self._reading else None

    def take_episodes(self) -> list[Episode]:
        """Episodes that have begun or ended since they were last taken, UNTAKEN of them at most, the newest ones."""
        return self._reading.take() if self._reading else []

    def end(self) -> list[Episode]:
        """No more will come: the last episodes, of which the one that lasted has ended now."""
        return self._reading.end() if self._reading else []

    @property
    def has_work(self) -> bool:
        """Whether `prepare` has something to do."""
        return self._unprimed is not None

    def _answer(self, frame: Image, event: Image, t: int, missing: tuple[str, ...], start: int) -> Expression | None:
        self.prepare()
        began = time.perf_counter_ns()
        moment = _Moment(t, *(self._resize(np.ascontiguousarray(image)) for image in (frame, event)))
        self._took("resize", began)
        oldest_us = t if self._oldest_frame_us is None else self._oldest_frame_us
        expression = None
        # Younger than that, nothing was seen a span ago; half a window, since frames aren't to the microsecond.
        if t - oldest_us >= self.engine.span_us - self.engine.window_us // 2:
            expression = self._react(moment, missing, start)
        # Only now, so that a stream whose engine failed is as it was before.
        self._oldest_frame_us, self._newest_frame_us, self._unprimed = oldest_us, t, moment
        return expression

    def _react(self, moment: _Moment, missing: tuple[str, ...], start: int) -> Expression | None:
        wanted_us = moment.time_us - self.engine.span_us
        first = self._first(wanted_us)
        if first is None:
            return None
        first_us, features = first
        if abs(wanted_us - first_us) > self.engine.window_us:
            missing = (*missing, "first")
        began = time.perf_counter_ns()
        answer = self.engine.react(moment.frame, moment.event, features)
        self._took("react", began)
        read = Read()
        if self._reading:
            read = self._reading.read(moment.time_us, answer.probabilities[0], moment.frame, moment.event)
        return self._expression(answer, read, moment.time_us, missing, (time.perf_counter_ns() - start) // 1000)

    def _first(self, wanted_us: int) -> tuple[int, Features] | None:
        """The stored moment nearest to a time; none if that is off by more than half the span."""
        while len(self._firsts) > 1 and self._firsts[1][0] <= wanted_us:
            self._firsts.popleft()
        # The nearest is now the first, at or before the time, or the second, after it.
        nearest = min(list(self._firsts)[:2], key=lambda first: abs(first[0] - wanted_us), default=None)
        if nearest is None or abs(nearest[0] - wanted_us) > self.engine.span_us // 2:
            return None
        return nearest

    def _expression(self, answer: Answer, read: Read, t: int, missing: tuple[str, ...], latency_us: int) -> Expression:
        probabilities, weights = answer.probabilities[0], answer.experts[0]
        return Expression(
            label=self.engine.labels[int(probabilities.argmax())],
            probabilities=probabilities,
            labels=self.engine.labels,
            time_us=t,
            latency_us=latency_us,
            experts=tuple(int(i) for i in np.argsort(-weights, kind="stable") if weights[i] > 0),
            missing=missing,
            steady=read.steady,
            confidence=read.confidence,
            unsure=read.unsure,
        )

    def _took(self, stage: str, start: int) -> None:
        self.stage_us[stage] = (time.perf_counter_ns() - start) // 1000

    def _check_image(self, name: str, image: Any) -> None:
        shape = (self.sensor[1], self.sensor[0])
        check_grey(name, image)
        if image.shape != shape:
            raise FrameError(f"the {name} is of shape {image.shape}, not the sensor's (height, width) = {shape}")

    def _check_time(self, t: Any) -> int:
        if not isinstance(t, int | np.integer) or isinstance(t, bool):
            raise FrameError(f"the frame's time is a {type(t).__name__}; give whole microseconds")
        if not -(2**63) <= t < 2**63:
            raise FrameError(f"the frame's time {t} is no int64; give microseconds of the sensor's clock")
        if self._newest_frame_us is not None and t <= self._newest_frame_us:
            raise FrameError(
                f"frame at {t} us, but the one before was at {self._newest_frame_us} us; give frames in the order "
                "of their times, and a new Stream for a new recording"
            )
        return int(t)

    def _refusal(self, given: Events, i: int) -> EventError:
        t, x, y, p = (int(array[i]) for array in given)
        width, height = self.sensor
        before = int(given.t[i - 1]) if i else self._newest_event_us
        if before is not None and t < before:
            return EventError(
                f"event {i} of the packet is at {t} us, the one before at {before} us; sort events by time, and "
                "give a new recording to a new Stream"
            )
        if p not in (0, 1):
            return EventError(f"event {i} of the packet has polarity {p}; give 1 for brighter, 0 or -1 for darker")
        return EventError(
            f"event {i} of the packet is at x = {x}, y = {y}, outside the sensor of {width} x {height}; "
            "tell Stream the sensor that the events come from"
        )
