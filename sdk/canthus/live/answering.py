"""What the worker does with arrivals: a step at a time, by whatever clock it is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from canthus.device.readings import temperature_celsius
from canthus.episodes import Episode
from canthus.errors import FrameError
from canthus.expression import Expression
from canthus.live.camera_watch import CameraWatch
from canthus.live.event_intake import EventIntake
from canthus.live.frame_admission import FrameAdmission
from canthus.live.frame_spacing import FrameSpacing
from canthus.live.health import Counts, Health
from canthus.live.inbox import EventPacket, FramePacket, Inbox
from canthus.live.sensor_time import SensorTime
from canthus.stream import Stream

_MANY = 100
"""Frames without an answer, after which it is told why: at 200 a second, they are half a second."""


class Answering:
    """Takes arrivals from an inbox, feeds a `Stream` with them, and delivers its answers and episodes.

    It has no thread and no clock of its own: `step` does what is to be done by now.
    """

    def __init__(
        self,
        inbox: Inbox,
        make_stream: Callable[[], Stream],
        deliver: Callable[[Expression], None],
        tell_episode: Callable[[Episode], None],
        clock_ns: Callable[[], int],
        *,
        deadline_us: int,
        wait_us: int,
        separate_clocks: bool,
        in_order: bool = False,
    ) -> None:
        """
        Args:
            in_order: every frame comes after all events up to its time, as from a recording: none waits for them.
        """
        self._inbox = inbox
        self._make_stream = make_stream
        self._deliver, self._tell_episode = deliver, tell_episode
        self._now = clock_ns
        self._deadline_ns, self._wait_ns = deadline_us * 1000, wait_us * 1000
        self._in_order = in_order
        self._time = SensorTime(separate_clocks)
        self._spacing = FrameSpacing()
        self._unanswered = 0  # frames, since the last answer
        self._frame: FramePacket | None = None
        self._counts = Counts()
        self.costs_us: dict[str, int] = {}
        self._camera = CameraWatch(self._counts, inbox)
        self._begin_stream()

    @property
    def why_no_answers(self) -> str | None:
        """What is wrong with the frames' times; None if nothing is."""
        return self._spacing.trouble(self._stream.engine.span_us)

    def health(self, callback_errors: int = 0, ended: str | None = None) -> Health:
        """How the stream is doing, now."""
        with self._inbox.arrived:
            queued_frames, queued_packets = self._inbox.depth
            return Health(
                frames=self._inbox.frames.ledger(),
                packets=self._inbox.packets.ledger(),
                events=self._inbox.events.ledger(),
                queued_frames=queued_frames,
                queued_packets=queued_packets,
                stalls=self._counts.stalls,
                stalled=self._camera.stalled(self._now()),
                frozen_frames=self._counts.frozen_frames,
                black_frames=self._counts.black_frames,
                unsure=dict(self._counts.unsure),
                clocks_set=self._counts.clocks_set,
                clock_offset_us=self._time.offset_us,
                callback_errors=callback_errors,
                temperature_celsius=temperature_celsius(),
                ended=ended,
            )

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
        """End the frame that waits, and the episode that lasts."""
        if self._frame is not None:
            self._done("stopped", "")
        self._tell_episodes(self._stream.end())

    def _take_events(self, packet: EventPacket) -> None:
        if not self._events.take(packet):
            self._begin_anew("events", int(packet.events.t[-1]))
            self._events.take(packet)

    def _take_frame(self, packet: FramePacket) -> None:
        self._camera.frame_arrived(packet.arrived_ns)
        self._spacing.note(packet.time_us)
        if self._frames.clock_was_set(packet):
            self._begin_anew("frames", packet.time_us)
        refusal = self._frames.admit(packet)
        if refusal is not None:
            self._end_frame(*refusal)
            return
        if self._frame is not None:
            self._end_frame("superseded", "a newer frame came before one was answered")
        self._frame = packet

    def _has_its_events(self, packet: FramePacket) -> bool:
        return self._in_order or packet.event is not None or self._events.reached(packet.time_us)

    def _answer(self, packet: FramePacket) -> None:
        if self._now() - packet.arrived_ns > self._deadline_ns:
            self._done("late", "a frame's deadline was over before its turn came")
            return
        complete = self._has_its_events(packet)
        missing = () if self._camera.is_alive(packet.frame) else ("frame",)
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
        self._unanswered = 0
        if expression.unsure:
            with self._inbox.arrived:
                self._counts.unsure[expression.unsure] += 1
        self._done("answered", "")
        self._deliver(replace(expression, latency_us=latency_us, missing=(*expression.missing, *missing)))
        self._tell_episodes(self._stream.take_episodes())

    def _tell_episodes(self, episodes: list[Episode]) -> None:
        for episode in episodes:
            self._tell_episode(episode)

    def _done(self, reason: str, message: str) -> None:
        self._frame = None
        self._end_frame(reason, message)

    def _end_frame(self, reason: str, message: str) -> None:
        with self._inbox.arrived:
            self._inbox.frames.end(reason)
        self._unanswered += reason != "answered"
        if self._unanswered == _MANY and (trouble := self.why_no_answers):
            self._inbox.tell("no answers", f"no answers: {trouble}")
        if message:
            self._inbox.tell(f"{reason} frame", message)

    def _prime(self) -> None:
        try:
            self._stream.prepare()
            self.costs_us["prime"] = self._stream.stage_us["prime"]
        except Exception as error:
            self._inbox.tell("failed prime", f"the first features of a moment could not be computed: {error}")
            self._begin_stream_anew()

    def _begin_anew(self, kind: str, t: int) -> None:
        """The clock of `kind` was set: what was seen before has no place in the new time."""
        self._inbox.tell("clock set", f"the sensor's clock was set to {t} us; the stream begins anew")
        self._counts.clocks_set += 1
        self._time.begin(kind, t)
        if self._frame is not None:
            self._done("time jump", "")
        self._begin_stream_anew()

    def _begin_stream_anew(self) -> None:
        self._tell_episodes(self._stream.end())
        self._begin_stream()

    def _begin_stream(self) -> None:
        """A stream that has seen nothing, and what feeds it."""
        self._stream = self._make_stream()
        self._events = EventIntake(self._stream, self._time, self._inbox)
        self._frames = FrameAdmission(self._stream.sensor, self._time)
        self._camera.forget_image()
