"""How an eye moves: gaze, blinks, and the camera on the head, as smooth functions of time."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

GAZE_RANGE = (math.radians(18), math.radians(11))  # largest sideways and vertical gaze, radians
SLIP = 3.5  # pixels that the camera moves on the head, at most
# Hz: two for each gaze direction, two for the pupil, two for the muscles, two for each direction of slip
_WANDER = np.array([0.7, 1.9, 0.9, 2.3, 0.3, 1.1, 1.3, 3.1, 0.8, 2.7, 0.6, 3.3])


class Track:
    """A value that holds still and moves smoothly, at given times, from one level to the next.

    Each move is a minimum-jerk curve, so value, velocity and acceleration are continuous.

    `starts` (seconds, ascending) and `durations` (seconds) of the moves, none of which may begin before
    the one before it has ended; `levels`, numbers or arrays of one shape, has one more entry than there are moves.
    """

    def __init__(self, starts: Sequence[float], durations: Sequence[float], levels: Sequence[ArrayLike]) -> None:
        self._starts = np.asarray(starts, np.float64)
        self._durations = np.asarray(durations, np.float64)
        self._levels = np.asarray(levels, np.float64)

    def at(self, time: float) -> Any:
        """The value at `time` (seconds)."""
        move = int(np.searchsorted(self._starts, time, side="right")) - 1
        if move < 0:
            return self._levels[0]
        done = min(1.0, (time - self._starts[move]) / self._durations[move])
        fraction = done**3 * (10 + done * (6 * done - 15))
        return self._levels[move] + fraction * (self._levels[move + 1] - self._levels[move])


@dataclasses.dataclass(frozen=True)
class Pose:
    """An eye at one moment."""

    gaze_x: float  # radians, positive to the right of the picture
    gaze_y: float  # radians, positive upwards
    closure: float  # of the lids in a blink: 0 none, 1 shut
    pupil: float  # radius as a fraction of the iris radius
    units: np.ndarray  # strength of each of `expressions.ACTION_UNITS`, 0 at rest
    slip_x: float  # of the camera on the head, pixels to the right of the picture
    slip_y: float  # and downwards


class Motion:
    """What one eye does for `seconds` while it shows an expression.

    `expression` gives the strength of the action units; `pupil` is their usual size, of the iris radius.
    """

    def __init__(self, seconds: float, expression: Track, pupil: float, random: np.random.Generator) -> None:
        self._expression, self._pupil = expression, pupil
        self._gaze_x, self._gaze_y = _saccades(seconds, random)
        self._closure = _blinks(seconds, random)
        self._phases = random.uniform(0, 2 * math.pi, _WANDER.size)
        self._slip = random.uniform(0.4, 1.0, 2) * SLIP
        self._flutter = random.uniform(0.02, 0.06)

    def pose(self, time: float) -> Pose:
        """The eye at `time` (seconds from the start)."""
        wave = np.sin(2 * math.pi * time * _WANDER + self._phases).tolist()
        drift = math.radians(0.12)  # the slow wander of a fixating eye
        return Pose(
            gaze_x=self._gaze_x.at(time) + drift * (wave[0] + 0.4 * wave[1]),
            gaze_y=self._gaze_y.at(time) + drift * (wave[2] + 0.4 * wave[3]),
            closure=self._closure.at(time),
            pupil=self._pupil * (1 + 0.06 * wave[4] + 0.03 * wave[5]),
            units=self._expression.at(time) * (1 + self._flutter * (wave[6] + 0.5 * wave[7])),
            slip_x=self._slip[0] * (0.7 * wave[8] + 0.3 * wave[9]),
            slip_y=self._slip[1] * (0.7 * wave[10] + 0.3 * wave[11]),
        )


def _saccades(seconds: float, random: np.random.Generator) -> tuple[Track, Track]:
    """Fixations of 0.2 to 0.7 s joined by saccades on the main sequence.

    A saccade of A degrees lasts 21 ms + 2.2 ms A (Carpenter 1988, "Movements of the Eyes").
    """
    starts, durations, xs, ys = [], [], [0.0], [0.0]
    time = random.uniform(0.1, 0.4)
    while time < seconds:
        x, y = random.uniform(-1, 1, 2) * GAZE_RANGE
        amplitude = math.degrees(math.hypot(x - xs[-1], y - ys[-1]))
        starts.append(time)
        durations.append(0.021 + 0.0022 * amplitude)
        xs.append(x)
        ys.append(y)
        time += durations[-1] + random.uniform(0.2, 0.7)
    return Track(starts, durations, xs), Track(starts, durations, ys)


def _blinks(seconds: float, random: np.random.Generator) -> Track:
    """Closure of the lids, 0 open to 1 closed: a blink of 0.17 to 0.29 s every few seconds.

    Lids close about twice as fast as they open (VanderWerf et al. 2003, J Neurophysiol 89).
    """
    starts, durations, levels = [], [], [0.0]
    time = random.uniform(0.2, 2.5)
    while time < seconds:
        closing, shut, opening = random.uniform((0.06, 0.01, 0.10), (0.08, 0.04, 0.17))
        starts += [time, time + closing + shut]
        durations += [closing, opening]
        levels += [1.0, 0.0]
        time += closing + shut + opening + random.uniform(1.5, 4.0)
    return Track(starts, durations, levels)
