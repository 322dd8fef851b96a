"""Expressions from a source, in one line."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import replace

from canthus.engine import Engine
from canthus.episodes import Episode
from canthus.errors import Error, EventError
from canthus.events import Events, prepare
from canthus.expression import Expression
from canthus.live.answering import Answering
from canthus.live.feed import feed
from canthus.live.health import Health
from canthus.live.inbox import Inbox
from canthus.live.stream import LiveStream
from canthus.sources import Frame, Packet, Source
from canthus.stream import Stream

_AT_ONCE = 1_000_000
"""Events of a packet that are taken at once: an inbox holds no more than a few such."""


class Watching(Iterator[Expression]):
    """A source's expressions, each as soon as it is known; `for` reads them.

    Damage is passed over and counted, as by `LiveStream`, and is logged once for each kind by the logger
    `canthus.live`. Of a recording nothing is left out for being late, and the same recording gives the same answers.

    Raises:
        ViewError: the source's view doesn't fit its sensor.
        SourceError: from iteration: the source can't be read on; all expressions before that were given.
    """

    def __init__(self, engine: Engine, source: Source) -> None:
        self._watched: _Live | _Recorded = _Live(engine, source) if source.is_live else _Recorded(engine, source)
        self._expressions = self._watched.expressions()
        self._span_us = engine.span_us

    def __next__(self) -> Expression:
        return next(self._expressions)

    def close(self) -> None:
        """Read no further."""
        self._expressions.close()

    def take_episodes(self) -> list[Episode]:
        """Episodes that have begun or ended since they were last taken; the last one ends with the source."""
        return self._watched.take_episodes()

    @property
    def health(self) -> Health:
        """What became of all that came so far."""
        return self._watched.health

    @property
    def why_no_answers(self) -> str:
        """Where there are none: what is wrong with the frames' times, or else what became of the frames."""
        frames = self.health.frames
        if not frames.came:
            return "no frames came"
        span = f"an answer looks at two frames that are {self._span_us / 1e6:g} s apart"
        return self._watched.why_no_answers or f"{frames.came:,} frames came: {frames.fates}; {span}"


def watch(engine: Engine, source: Source) -> Watching:
    """Every expression of a recording or camera: `for expression in canthus.watch(engine, source)`."""
    return Watching(engine, source)


class _Recorded:
    """Answers a recording's packets one after the other, as fast as they are taken."""

    def __init__(self, engine: Engine, source: Source) -> None:
        self._source = source
        self._inbox = Inbox()
        self._answers: deque[Expression] = deque()
        self._episodes: deque[Episode] = deque()
        self._put_ns = time.monotonic_ns()
        self._answering = Answering(
            self._inbox,
            lambda: Stream(engine, source.sensor, source.view),
            self._answers.append,
            self._episodes.append,
            lambda: time.monotonic_ns() - self._put_ns,  # every packet arrives at 0, so a slow reader is no stall
            deadline_us=1 << 62,
            wait_us=0,
            separate_clocks=False,
            in_order=True,
        )

    def expressions(self) -> Generator[Expression]:
        for packet in self._source:
            self._put(packet)
            while self._answering.step() == 0:
                while self._answers:
                    yield self._answers.popleft()
        self._answering.stop()

    def take_episodes(self) -> list[Episode]:
        taken = list(self._episodes)
        self._episodes.clear()
        return taken

    @property
    def health(self) -> Health:
        return replace(self._answering.health(), stalled=False)

    @property
    def why_no_answers(self) -> str | None:
        return self._answering.why_no_answers

    def _put(self, packet: Packet) -> None:
        self._put_ns = time.monotonic_ns()
        if not isinstance(packet, Events):
            frame, event, t = (packet.image, None, packet.time_us) if isinstance(packet, Frame) else packet
            self._inbox.put_frame(frame, event, t, 0)
        else:
            for part in _parts(packet):
                self._inbox.put_events(tuple(part), 0)
                self._answering.step()


def _parts(packet: Events) -> Iterator[Events]:
    """A packet as it is, or what an inbox holds of it at once."""
    try:
        packet = prepare(packet)
    except (EventError, TypeError):  # the inbox counts it
        yield packet
        return
    for begin in range(0, max(1, len(packet.t)), _AT_ONCE):
        yield Events(*(array[begin : begin + _AT_ONCE] for array in packet))


class _Live:
    """Reads a camera by a thread of its own, until it is closed."""

    def __init__(self, engine: Engine, source: Source) -> None:
        self._source = source
        self._live = LiveStream(engine, source.sensor, source.view)

    def expressions(self) -> Generator[Expression]:
        stop, failed = threading.Event(), []

        def feed_it() -> None:
            try:
                feed(self._source, self._live, stop)
            except Error as error:
                failed.append(error)
            self._live.close()

        threading.Thread(target=feed_it, daemon=True).start()
        try:
            yield from self._live
        finally:
            stop.set()
            self._live.close()
        if failed:
            raise failed[0]

    def take_episodes(self) -> list[Episode]:
        taken = []
        while (episode := self._live.episodes.take(0)) is not None:
            taken.append(episode)
        return taken

    @property
    def health(self) -> Health:
        return self._live.health

    @property
    def why_no_answers(self) -> str | None:
        return self._live.why_no_answers
