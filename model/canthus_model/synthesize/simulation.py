"""What a sensor sees of a scene: a frame each thirtieth of a second, and the events in between."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np

from canthus_model.synthesize.sensor import EventCamera, EventPixels, FrameCamera

FIRST_TIME = 1_700_000_000_000_000  # microseconds: sensor clocks count from 1970
FRAMES_PER_SECOND = 30
LONGEST_STEP, SHORTEST_STEP = 2_000, 1_000  # microseconds between looks at the scene


class Scene(Protocol):
    """What a sensor can look at; `time` is in seconds from the start."""

    def luminance(self, time: float) -> np.ndarray:
        """(height, width) float32 linear luminance, 0 or more."""

    def speed(self, time: float) -> float:
        """Pixels per second that the fastest edge moves."""


class Moment(NamedTuple):
    """What the sensor gives from the beginning of one exposure to that of the next."""

    frame: np.ndarray  # uint8 (height, width)
    time: int  # microseconds: the middle of the frame's exposure
    exposure: int  # microseconds
    events: np.ndarray  # sensor.EVENT, sorted by time


def simulate(scene: Scene, frames: range, camera: EventCamera, random: np.random.Generator) -> Iterator[Moment]:
    """Look at `scene` during `frames`; the exposure of frame n begins n / 30 seconds after the start."""
    frame_camera = FrameCamera()
    begin = _begin(frames.start)
    luminance = scene.luminance(_seconds(begin))
    pixels = EventPixels(camera, luminance, random)
    for number in frames:
        begin, end = _begin(number), _begin(number + 1)
        exposed, events = np.zeros_like(luminance), []
        for start, stop in _steps(scene, begin, end, frame_camera.exposure):
            before, luminance = luminance, scene.luminance(_seconds(stop))
            events.append(pixels.step(luminance, start, stop))
            if stop <= begin + frame_camera.exposure:
                exposed += (before + luminance) * np.float32((stop - start) / 2 / frame_camera.exposure)
        frame = frame_camera.expose(exposed, random)
        yield Moment(frame, begin + frame_camera.exposure // 2, frame_camera.exposure, np.concatenate(events))


def _begin(frame: int) -> int:
    return FIRST_TIME + frame * 1_000_000 // FRAMES_PER_SECOND


def _seconds(time: int) -> float:
    return (time - FIRST_TIME) * 1e-6


def _steps(scene: Scene, begin: int, end: int, exposure: int) -> Iterator[tuple[int, int]]:
    """Cut begin..end into steps in which edges move about a pixel; one boundary ends the exposure."""
    time = begin
    while time < end:
        pixel_time = 1e6 / max(scene.speed(_seconds(time)), 1e-6)
        step = int(min(max(pixel_time, SHORTEST_STEP), LONGEST_STEP))
        limit = begin + exposure if time < begin + exposure else end
        stop = min(time + step, limit)
        yield time, stop
        time = stop
