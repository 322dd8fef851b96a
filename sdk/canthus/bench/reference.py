"""What the synchronous stream answers to the same content: a live stream must answer the same."""

from __future__ import annotations

from collections import deque

from canthus.bench.content import START_US, Loop
from canthus.engine import Engine
from canthus.events import Events
from canthus.expression import Expression
from canthus.sources import Frame, Images
from canthus.stream import Stream


class Reference:
    """The answers of a `Stream` to one lap, once its window and its first moments are of laps before.

    From then on every lap's answers are the same, since no other time has a say. It also warms up the engine.
    """

    def __init__(self, engine: Engine, loop: Loop) -> None:
        self._loop = loop
        self._lap = -(-2 * engine.span_us // loop.period_us)
        self._answers: dict[int, bytes] = {}
        self._span_us, self._near_us = engine.span_us, engine.window_us
        self._left_out: deque[int] = deque()
        stream = Stream(engine, loop.sensor, loop.view)
        frame: Frame | Images | None = None
        for at_us, packet in loop.arrivals():
            if isinstance(packet, Events):
                stream.push_events(*packet)
                if frame is None or at_us < frame.time_us:
                    continue
            # A frame is answered when it has its events; or when the next one comes.
            if frame is not None:
                self._keep(_answer(stream, frame))
                frame = None
            if not isinstance(packet, Events):
                frame = packet
            if at_us > START_US + (self._lap + 1) * loop.period_us:
                return

    def left_out(self, time_us: int) -> None:
        """The live stream gave no answer, or an incomplete one, to the frame of this time."""
        self._left_out.append(time_us)

    def agrees(self, expression: Expression) -> bool | None:
        """Whether a live stream's answer is the same to the last bit; None if it needn't be.

        That is so in the laps before, and where the frame or its first moment was left out: then another is nearest.
        """
        if expression.missing:
            self.left_out(expression.time_us)
            return None
        first_us = expression.time_us - self._span_us
        while self._left_out and self._left_out[0] < first_us - self._near_us:
            self._left_out.popleft()
        if self._left_out and self._left_out[0] <= first_us + self._near_us:
            return None
        lap, place = self._loop.position(expression.time_us)
        if lap < self._lap or place not in self._answers:
            return None
        return expression.probabilities.tobytes() == self._answers[place]

    def _keep(self, expression: Expression | None) -> None:
        if expression is not None:
            lap, place = self._loop.position(expression.time_us)
            if lap == self._lap:
                self._answers[place] = expression.probabilities.tobytes()


def _answer(stream: Stream, frame: Frame | Images) -> Expression | None:
    expression = stream.push_frame(*frame) if isinstance(frame, Frame) else stream.push_images(*frame)
    stream.prepare()
    return expression
