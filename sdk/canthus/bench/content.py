"""What is pushed: some seconds of frames and events, prepared before the clock starts, over and over."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from types import TracebackType

import numpy as np

from canthus.bench.settings import Settings
from canthus.errors import BenchError
from canthus.events import Events
from canthus.sources import Frame, Images, Packet
from canthus.sources.faults import Arrival
from canthus.sources.opening import open as open_source
from canthus.view import View

PACKET_US = 4000
"""How much time one packet of events spans, as a camera's driver gives them."""

START_US = 1_000_000
"""What the sensor's clock shows when the content begins."""

_RECORDED_US = 10_000_000
_SENSOR = (346, 260)


class Loop:
    """Content that has no end: `period_us` of it again and again, with times that go on. A `Source`.

    Args:
        sensor: (width, height).
        events: of one lap; times in (0, period_us].
        frames: likewise; the last is at period_us.
        name: what it is, so that measurements of the same content can be told.
        view: how the camera is mounted; None is `View()`.
    """

    is_live = False

    def __init__(
        self,
        sensor: tuple[int, int],
        events: Events,
        frames: list[Frame | Images],
        name: str,
        view: View | None = None,
    ) -> None:
        self.sensor = sensor
        self.view = View() if view is None else view
        self.name = name if self.view == View() else f"{name}, seen through {self.view}"
        self.period_us = frames[-1].time_us
        self.frames_per_second = len(frames) * 1e6 / self.period_us
        self.events_per_second = len(events.t) * 1e6 / self.period_us
        arrivals = [Arrival(frame.time_us, frame) for frame in frames]
        arrivals += [Arrival(int(packet.t[-1]), packet) for packet in _packets(events, self.period_us)]
        # Events of the very microsecond of a frame come before it.
        self._lap = sorted(arrivals, key=lambda arrival: (arrival.at_us, not isinstance(arrival.packet, Events)))

    def __enter__(self) -> Loop:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def __iter__(self) -> Iterator[Packet]:
        return (arrival.packet for arrival in self.arrivals())

    def arrivals(self) -> Iterator[Arrival]:
        """Every packet and when it comes, without end: a frame at its time, events when the last has happened."""
        for lap in count():
            shift_us = START_US + lap * self.period_us
            for at_us, packet in self._lap:
                yield Arrival(at_us + shift_us, _moved(packet, shift_us))

    def position(self, time_us: int) -> tuple[int, int]:
        """The lap that a frame's time is in, and its time in there."""
        lap, before = divmod(time_us - START_US - 1, self.period_us)
        return lap, before + 1


def made_up(settings: Settings, view: View | None = None) -> Loop:
    """About a second of noise on a DAVIS346: every pixel as likely to change as another, at any time."""
    random = np.random.default_rng(settings.seed)
    frames = max(2, round(settings.frames_per_second))
    times = [round(i * 1e6 / settings.frames_per_second) for i in range(1, frames + 1)]
    width, height = _SENSOR
    images = random.integers(0, 256, (frames, height, width), np.uint8)
    events = round(settings.events_per_second * times[-1] / 1e6)
    return Loop(
        _SENSOR,
        Events(
            np.sort(random.integers(1, times[-1] + 1, events)),
            random.integers(0, width, events).astype(np.uint16),
            random.integers(0, height, events).astype(np.uint16),
            random.integers(0, 2, events).astype(np.uint8),
        ),
        [Frame(image, t) for image, t in zip(images, times, strict=True)],
        f"made up, seed {settings.seed}",
        view,
    )


def recorded(path: Path | str, camera: str | None = None, view: View | None = None) -> Loop:
    """The first ten seconds of a recording, or of a sequence of SEE.

    Raises:
        SourceError: it can't be read.
        BenchError: it has fewer than two frames.
    """
    frames: list[Frame | Images] = []
    packets: list[Events] = []
    with open_source(path, camera=camera) as source:
        sensor = source.sensor
        for packet in source:
            if isinstance(packet, Events):
                packets.append(packet)
                continue
            frames.append(packet)
            if packet.time_us - frames[0].time_us >= _RECORDED_US:
                break
    if len(frames) < 2:
        raise BenchError(f"{path}: has fewer than two frames; give a longer recording")
    # A lap begins a frame's time before the first frame, so that from the last to the first of the next is as long.
    interval_us = int(np.median(np.diff([frame.time_us for frame in frames])))
    begin_us = frames[0].time_us - interval_us
    joined = Events(*(np.concatenate(arrays) for arrays in zip(*packets, strict=True))) if packets else _no_events()
    inside = (joined.t > begin_us) & (joined.t <= frames[-1].time_us)
    events = Events(*(array[inside] for array in joined))
    return Loop(
        sensor,
        events._replace(t=events.t - begin_us),
        [_moved_frame(frame, -begin_us) for frame in frames],
        f"recording {_digest(events, frames)}",
        view,
    )


def _packets(events: Events, period_us: int) -> Iterator[Events]:
    ends = np.searchsorted(events.t, np.arange(PACKET_US, period_us + PACKET_US, PACKET_US), "right")
    begin = 0
    for end in ends:
        if end > begin:  # a driver gives no empty packets
            yield Events(*(array[begin:end] for array in events))
        begin = end


def _moved(packet: Packet, shift_us: int) -> Packet:
    if isinstance(packet, Events):
        return packet._replace(t=packet.t + shift_us)
    return _moved_frame(packet, shift_us)


def _moved_frame(frame: Frame | Images, shift_us: int) -> Frame | Images:
    return frame._replace(time_us=frame.time_us + shift_us)


def _no_events() -> Events:
    pixels = np.empty(0, np.uint16)
    return Events(np.empty(0, np.int64), pixels, pixels, np.empty(0, np.uint8))


def _digest(events: Events, frames: list[Frame | Images]) -> str:
    digest = hashlib.sha256()
    for array in (*events, *(image for frame in frames for image in frame[:-1])):
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:16]
