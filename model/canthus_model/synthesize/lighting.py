"""The four lightings of SEE: how much light falls where, and what that does to the sensor."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from canthus_model.synthesize.anatomy import CANVAS
from canthus_model.synthesize.motion import Track
from canthus_model.synthesize.sensor import EventCamera


@dataclasses.dataclass(frozen=True)
class Lighting:
    """A lighting; 1 is the light in which the sensor's frames are well exposed."""

    level: tuple[float, float]  # of the light in the middle, from and to
    contrast: tuple[float, float]  # how many times brighter one side of the face is than the other
    sharpness: float  # of the passage between the two sides: pixels over which it falls
    noise_rate: float  # background events per pixel and second
    pupil: tuple[float, float]  # radius of the iris radius


LIGHTING = {
    "normal": Lighting((0.75, 1.35), (1.0, 1.8), 160, 0.2, (0.32, 0.46)),
    "Overexposed": Lighting((10.0, 30.0), (1.0, 1.8), 160, 0.2, (0.22, 0.32)),
    "Low": Lighting((0.014, 0.030), (1.0, 1.8), 160, 3.0, (0.50, 0.66)),
    "HDR": Lighting((1.0, 2.0), (25.0, 90.0), 50, 0.8, (0.28, 0.40)),
}
"""By the names that SEE's sequences have.

A DAVIS346 leaks 0.2 events per pixel and second in bright light, and has some 10 of shot noise in the dark (Guo and
Delbruck 2022, IEEE TPAMI 45, whose recordings DND21 are); between the two, the rates are our choice.
"""


def draw_illumination(lighting: Lighting, random: np.random.Generator) -> np.ndarray:
    """Light on each place of the canvas, (CANVAS) float32, from one side, for one take."""
    level = math.exp(random.uniform(*np.log(lighting.level)))
    contrast = math.exp(random.uniform(*np.log(lighting.contrast)))
    angle, offset = random.uniform(0, 2 * math.pi), random.normal(0, 20)
    y, x = np.mgrid[: CANVAS[0], : CANVAS[1]].astype(np.float32)
    across = (x - CANVAS[1] / 2) * math.cos(angle) + (y - CANVAS[0] / 2) * math.sin(angle) + offset
    return (level * contrast ** (0.5 * np.tanh(across / lighting.sharpness))).astype(np.float32)


def event_camera(lighting: Lighting) -> EventCamera:
    """The event half of the sensor in this light."""
    return EventCamera(noise_rate=lighting.noise_rate)


class Light:
    """The light on the canvas during a take: one lighting, or one that turns into another."""

    TURNING = 0.4  # seconds that it takes
    _FLICKER = 60.0  # pixels per second: as often as at edges of this speed is a scene looked at whose light turns

    def __init__(self, first: np.ndarray, second: np.ndarray | None = None, turns: float = math.inf) -> None:
        """`first` and `second` as `draw_illumination` gives them; `turns` is when the second one comes, in seconds."""
        self._first, self._second, self._turns = first, first if second is None else second, turns

    def at(self, time: float) -> np.ndarray:
        """(CANVAS) float32 at `time` seconds."""
        done = self._done(time)
        if done in (0.0, 1.0):
            return self._second if done else self._first
        return self._first ** np.float32(1 - done) * self._second ** np.float32(done)

    def speed(self, time: float) -> float:
        """As a scene's."""
        return self._FLICKER if 0 < self._done(time) < 1 else 0.0

    def _done(self, time: float) -> float:
        return min(max((time - self._turns) / self.TURNING, 0.0), 1.0)


def pupil(sizes: list[float], turns: float) -> Track:
    """Its usual size in a light that turns at `turns` seconds from the first of `sizes` to the second, if there is one.

    A pupil closes within a second, and takes several to open (Ellis 1981, Br J Ophthalmol 65).
    """
    if len(sizes) == 1:
        return Track([], [], sizes)
    takes = 0.8 if sizes[1] < sizes[0] else 3.0
    return Track([turns + 0.2], [takes], sizes)
