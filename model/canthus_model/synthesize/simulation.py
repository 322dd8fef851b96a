"""What a sensor sees of a scene: a frame each thirtieth of a second, and the events in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

import numpy as np

from canthus_model.synthesize.sensor import EventCamera, EventPixels, FrameCamera

FIRST_TIME = 1_700_000_000_000_000  # microseconds: sensor clocks count from 1970
FRAMES_PER_SECOND = 30
LONGEST_LOOK, SHORTEST_LOOK = 26_000, 1_000  # microseconds between looks at the scene
AHEAD = 5_000  # microseconds between the moments at which its speed is asked for: a saccade takes four times as long
EVENT_STEP = 4_000  # microseconds between those at the event pixels, at most
HALF_A_PIXEL = 0.5  # that edges may move between two looks


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


def simulate(
    scene: Scene,
    frames: range,
    camera: EventCamera,
    random: np.random.Generator,
    *,
    before: float,
    noise_rate: Callable[[float], float] | None = None,
) -> Iterator[Moment]:
    """Look at `scene` during `frames`; the exposure of frame n begins n / 30 seconds after the start.

    `noise_rate` gives background events per pixel and second at a time in seconds, where they aren't always those of
    the camera.

    What the event pixels last saw before is the scene at `before` seconds: a pixel that has just seen a face come to
    rest needs more of a change to fire than one that has always seen it so.

    The slower the scene moves, the less often it is looked at; between two looks, luminance is taken to change
    linearly, and the event pixels see it every EVENT_STEP or more often (adaptive sampling: Rebecq et al., "ESIM",
    CoRL 2018).
    """
    frame_camera = FrameCamera()
    begin = _begin(frames.start)
    luminance = scene.luminance(_seconds(begin))
    pixels = EventPixels(camera, scene.luminance(before), random)
    pixels.step(luminance, begin - EVENT_STEP, begin)
    for number in frames:
        begin, end = _begin(number), _begin(number + 1)
        exposed, events = np.zeros_like(luminance), []
        if noise_rate is not None:
            pixels.noise_rate = noise_rate(_seconds(begin))
        for start, stop in _looks(scene, begin, end, frame_camera.exposure):
            before, luminance = luminance, scene.luminance(_seconds(stop))
            steps = -(-(stop - start) // EVENT_STEP)
            for step in range(steps):
                then, end_of_step = (start + (stop - start) * part // steps for part in (step, step + 1))
                seen = before + (luminance - before) * np.float32((step + 1) / steps) if step + 1 < steps else luminance
                events.append(pixels.step(seen, then, end_of_step))
            if stop <= begin + frame_camera.exposure:
                exposed += (before + luminance) * np.float32((stop - start) / 2 / frame_camera.exposure)
        frame = frame_camera.expose(exposed, random)
        yield Moment(frame, begin + frame_camera.exposure // 2, frame_camera.exposure, np.concatenate(events))


def _begin(frame: int) -> int:
    return FIRST_TIME + frame * 1_000_000 // FRAMES_PER_SECOND


def _seconds(time: int) -> float:
    return (time - FIRST_TIME) * 1e-6


def _looks(scene: Scene, begin: int, end: int, exposure: int) -> Iterator[tuple[int, int]]:
    """Cut begin..end into pieces in which edges move half a pixel, or little enough; one bound ends the exposure."""
    time = begin
    while time < end:
        piece = _undisturbed(scene, time)
        limit = begin + exposure if time < begin + exposure else end
        stop = min(time + max(piece, SHORTEST_LOOK), limit)
        yield time, stop
        time = stop


def _undisturbed(scene: Scene, time: int) -> int:
    """How many microseconds may pass before an edge has moved too far, LONGEST_LOOK at most."""
    piece, fastest = LONGEST_LOOK, 1e-6
    for later in range(0, LONGEST_LOOK, AHEAD):
        if later >= piece:
            break
        fastest = max(fastest, scene.speed(_seconds(time + later)))
        piece = min(piece, max(later, int(1e6 * HALF_A_PIXEL / fastest)))
    return piece
