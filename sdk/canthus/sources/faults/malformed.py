"""Packets that are none: what a broken driver or a hostile sender may give."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from canthus.events import Events
from canthus.sources import Frame, Images
from canthus.sources.faults import Arrival, Trouble
from canthus.sources.faults.sensor import frame_of, with_frame

_NONE = np.iinfo(np.int64).min  # what numpy takes for "not a time"
_MOST = np.iinfo(np.int64).max


def truncated_packets(arrivals: Iterator[Arrival], trouble: Trouble) -> Iterator[Arrival]:
    """Arrays of unequal lengths, of other types and shapes, coordinates and times that can't be."""
    for at_us, packet in arrivals:
        stretch = trouble.at(at_us)
        if stretch and trouble.random.random() < stretch.dice[0]:
            trouble.damaged(at_us)
            packet = _broken_events(packet, trouble) if isinstance(packet, Events) else _broken_frame(packet, trouble)
        yield Arrival(at_us, packet)


def _broken_events(packet: Events, trouble: Trouble) -> Events:
    random, count = trouble.random, len(packet.t)
    cut = int(random.integers(0, count + 1))
    ways: list[Callable[[], dict[str, Any]]] = [
        lambda: {"t": packet.t[:cut]},
        lambda: {"x": packet.x[:cut]},
        lambda: {"y": np.append(packet.y, packet.y)},
        lambda: {"p": packet.p[:0]},
        lambda: {"t": packet.t[:0], "x": packet.x[:0], "y": packet.y[:0], "p": packet.p[:0]},
        lambda: {"x": random.integers(-(2**15), 2**15, count, np.int16)},
        lambda: {"y": random.integers(-(2**63), 2**63 - 1, count)},
        lambda: {"p": random.integers(0, 256, count, np.uint8)},
        lambda: {"t": np.where(random.random(count) < 0.3, np.nan, packet.t)},
        lambda: {"t": np.where(random.random(count) < 0.3, _NONE, packet.t)},
        lambda: {"t": np.full(count, random.choice([_NONE, _MOST, -1, 2**62]))},
        lambda: {"t": random.integers(-(2**63), 2**63 - 1, count)},
        lambda: {"t": packet.t.astype("datetime64[us]")},
        lambda: {"x": packet.x.astype(float)},
        lambda: {"x": packet.x.astype(object)},
        lambda: {"y": packet.y[None]},
        lambda: {"t": np.array(7), "x": np.array(7), "y": np.array(7), "p": np.array(7)},
        lambda: {"t": packet.t[::-1]},
        lambda: {"t": packet.t.tolist()},
        lambda: {"p": "pppp"},
        lambda: {random.choice(["t", "x", "y", "p"]): None},
        lambda: {"x": None, "y": None, "p": None},
        lambda: dict.fromkeys("txyp"),
    ]
    return packet._replace(**ways[random.integers(len(ways))]())


def _broken_frame(packet: Frame | Images, trouble: Trouble) -> Any:
    random, image = trouble.random, frame_of(packet)
    ways: list[Callable[[], Any]] = [
        lambda: with_frame(packet, image[: random.integers(len(image))]),
        lambda: with_frame(packet, image.T),
        lambda: with_frame(packet, image.ravel()),
        lambda: with_frame(packet, np.stack([image] * 3, -1)),
        lambda: with_frame(packet, image[:0]),
        lambda: with_frame(packet, np.uint8(7)),
        lambda: with_frame(packet, np.array(7, np.uint8)),
        lambda: with_frame(packet, image.astype(random.choice(["f4", "i8", "?", "O"]))),
        lambda: with_frame(packet, image.tobytes()),
        lambda: with_frame(packet, None),
        lambda: packet._replace(time_us=random.choice([_NONE, _MOST, -1, 2**61])),
        lambda: packet._replace(time_us=packet.time_us + int(random.integers(-(2**40), 2**40))),
        lambda: packet._replace(time_us=float("nan")),  # type: ignore[arg-type]
        lambda: packet._replace(time_us=float(packet.time_us)),  # type: ignore[arg-type]
        lambda: packet._replace(time_us=2**63),
        lambda: packet._replace(time_us=None),  # type: ignore[arg-type]
        lambda: packet._replace(time_us=np.datetime64("NaT")),  # type: ignore[arg-type]
        lambda: packet._replace(time_us="soon"),  # type: ignore[arg-type]
    ]
    return ways[random.integers(len(ways))]()
