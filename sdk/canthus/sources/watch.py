"""Expressions from a source, in one line."""

from __future__ import annotations

from collections.abc import Generator

from canthus.engine import Engine
from canthus.events import Events
from canthus.expression import Expression
from canthus.sources import Frame, Source
from canthus.stream import Stream


def watch(engine: Engine, source: Source) -> Generator[Expression]:
    """Every expression of a source, as soon as it is known.

    Raises:
        SourceError, EventError, FrameError: the source breaks off or holds what no sensor gives; all
            expressions before that were given.
    """
    stream = Stream(engine, sensor=source.sensor)
    for packet in source:
        if isinstance(packet, Events):
            stream.push_events(*packet)
            continue
        expression = stream.push_frame(*packet) if isinstance(packet, Frame) else stream.push_images(*packet)
        if expression is not None:
            yield expression
        stream.prepare()  # once the answer has been taken
