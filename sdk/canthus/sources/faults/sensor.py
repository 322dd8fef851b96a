"""Faults of the pixels, and of what they look at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from canthus.events import Events
from canthus.sources import Frame, Images, Packet
from canthus.sources.faults import Arrival, Trouble

STORM_PER_US = 20
_LONGEST_US = 100_000  # that is filled with events for one packet, however long ago the one before was


def event_storm(arrivals: Iterator[Arrival], trouble: Trouble) -> Iterator[Arrival]:
    """The true events are lost in it."""
    for at_us, packet, begin_us, end_us in _with_spans(arrivals):
        if trouble.at(at_us) and isinstance(packet, Events):
            trouble.damaged(at_us)
            packet = _noise(np.repeat(np.arange(begin_us, end_us), STORM_PER_US), trouble)
        yield Arrival(at_us, packet)


def hot_pixels(arrivals: Iterator[Arrival], trouble: Trouble) -> Iterator[Arrival]:
    """One to twenty of them, ten thousand events a second each."""
    width, height = trouble.sensor
    for at_us, packet, begin_us, end_us in _with_spans(arrivals):
        stretch = trouble.at(at_us)
        if stretch and isinstance(packet, Events):
            trouble.damaged(at_us)
            pixels = np.arange(1 + int(20 * stretch.dice[0]))
            t = np.arange(begin_us, end_us, 100)
            x = np.tile((pixels * 37 + int(width * stretch.dice[1])) % width, len(t))
            y = np.tile((pixels * 23 + int(height * stretch.dice[0])) % height, len(t))
            t = np.repeat(t, len(pixels))
            packet = _merged(packet, Events(t, x, y, np.ones(len(t), bool)))
        yield Arrival(at_us, packet)


def flicker(arrivals: Iterator[Arrival], trouble: Trouble) -> Iterator[Arrival]:
    """Every 5 ms a third of all pixels brighten or darken at once; frames come out brighter or darker."""
    at_once = max(1, trouble.sensor[0] * trouble.sensor[1] // 3)
    for at_us, packet, begin_us, end_us in _with_spans(arrivals):
        if trouble.at(at_us):
            trouble.damaged(at_us)
            if isinstance(packet, Events):
                changes = np.arange(-(-begin_us // 5000), -(-end_us // 5000))
                noise = _noise(np.repeat(changes * 5000, at_once), trouble)
                packet = _merged(packet, noise._replace(p=np.repeat(changes % 2 == 1, at_once)))
            else:
                brighter = frame_of(packet) * trouble.random.uniform(0.3, 1.7)
                packet = with_frame(packet, np.clip(brighter, 0, 255).astype(np.uint8))
        yield Arrival(at_us, packet)


def frozen_frames(arrivals: Iterator[Arrival], trouble: Trouble) -> Iterator[Arrival]:
    """The last image again and again, with times that go on."""
    last: NDArray[np.uint8] | None = None
    for at_us, packet in arrivals:
        if isinstance(packet, Events):
            yield Arrival(at_us, packet)
        elif last is not None and trouble.at(at_us):
            trouble.damaged(at_us)
            yield Arrival(at_us, with_frame(packet, last))
        else:
            last = frame_of(packet)
            yield Arrival(at_us, packet)


def black_frames(arrivals: Iterator[Arrival], trouble: Trouble) -> Iterator[Arrival]:
    """Nothing but zeros."""
    for at_us, packet in arrivals:
        if not isinstance(packet, Events) and trouble.at(at_us):
            trouble.damaged(at_us)
            packet = with_frame(packet, np.zeros_like(frame_of(packet)))
        yield Arrival(at_us, packet)


def frame_of(packet: Frame | Images) -> NDArray[np.uint8]:
    """Its frame."""
    return packet.image if isinstance(packet, Frame) else packet.frame


def with_frame(packet: Frame | Images, image: Any) -> Frame | Images:
    """The same packet with another frame."""
    return packet._replace(image=image) if isinstance(packet, Frame) else packet._replace(frame=image)


def _with_spans(arrivals: Iterator[Arrival]) -> Iterator[tuple[int, Packet, int, int]]:
    """Arrivals, and for events the time that they fill, end exclusive: since the packet before, if that isn't long."""
    before_us: int | None = None
    for at_us, packet in arrivals:
        begin_us, end_us = at_us, at_us
        if isinstance(packet, Events) and len(packet.t):
            first_us, end_us = int(packet.t[0]), int(packet.t[-1]) + 1
            begin_us = max(first_us if before_us is None else min(before_us, first_us), end_us - _LONGEST_US)
            before_us = end_us
        yield at_us, packet, begin_us, end_us


def _noise(t: NDArray[np.int64], trouble: Trouble) -> Events:
    """Events of the given times, anywhere."""
    x, y = (trouble.random.integers(0, size, len(t), np.int16) for size in trouble.sensor)
    return Events(t, x, y, trouble.random.integers(0, 2, len(t), np.uint8))


def _merged(packet: Events, more: Events) -> Events:
    """Both in the order of their times, in the first one's types."""
    order = np.argsort(np.concatenate([packet.t, more.t]), kind="stable")
    pairs = zip(packet, more, strict=True)
    return Events(*(np.concatenate([ours, theirs.astype(ours.dtype)])[order] for ours, theirs in pairs))
