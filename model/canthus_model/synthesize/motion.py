"""How an eye moves: gaze, blinks, lids and brow as smooth functions of time."""

import dataclasses
import math

import numpy as np

GAZE_RANGE = (math.radians(18), math.radians(11))  # largest sideways and vertical gaze, radians
_WANDER = np.array([0.7, 1.9, 0.9, 2.3, 0.3, 1.1])  # Hz: two for each gaze direction, two for the pupil


class Track:
    """A value that holds still and moves smoothly, at given times, from one level to the next.

    Each move is a minimum-jerk curve, so value, velocity and acceleration are continuous.

    `starts` (seconds, ascending) and `durations` (seconds) of the moves, none of which may begin before
    the one before it has ended; `levels` has one more entry than there are moves.
    """

    def __init__(self, starts: list[float], durations: list[float], levels: list[float]) -> None:
        self._starts = np.asarray(starts, np.float64)
        self._durations = np.asarray(durations, np.float64)
        self._levels = np.asarray(levels, np.float64)

    def at(self, time: float) -> float:
        """The value at `time` (seconds)."""
        move = int(np.searchsorted(self._starts, time, side="right")) - 1
        if move < 0:
            return float(self._levels[0])
        done = min(1.0, (time - self._starts[move]) / self._durations[move])
        fraction = done**3 * (10 + done * (6 * done - 15))
        return float(self._levels[move] + fraction * (self._levels[move + 1] - self._levels[move]))


@dataclasses.dataclass(frozen=True)
class Pose:
    """An eye at one moment."""

    gaze_x: float  # radians, positive to the right of the picture
    gaze_y: float  # radians, positive upwards
    opening: float  # of the upper lid: 0 closed, 1 relaxed, above 1 widened
    squint: float  # of the lower lid: 0 relaxed, 1 raised
    brow: float  # height of the brow above its rest, pixels
    pupil: float  # radius as a fraction of the iris radius


class Motion:
    """What one eye does for `seconds`; the same seed gives the same motion."""

    def __init__(self, seconds: float, seed: int) -> None:
        random = np.random.default_rng([seed, 1])
        self._gaze_x, self._gaze_y = _saccades(seconds, random)
        self._closure = _blinks(seconds, random)
        self._widening, self._squint, self._brow = _expressions(seconds, random)
        self._phases = random.uniform(0, 2 * math.pi, 6)

    def pose(self, time: float) -> Pose:
        """The eye at `time` (seconds from the start)."""
        angles = 2 * math.pi * time * _WANDER + self._phases
        wave = np.sin(angles).tolist()
        drift = math.radians(0.12)  # the slow wander of a fixating eye
        gaze_x = self._gaze_x.at(time) + drift * (wave[0] + 0.4 * wave[1])
        gaze_y = self._gaze_y.at(time) + drift * (wave[2] + 0.4 * wave[3])
        # The upper lid follows the gaze up and down.
        relaxed = 1 + self._widening.at(time) + 0.9 * gaze_y
        return Pose(
            gaze_x=gaze_x,
            gaze_y=gaze_y,
            opening=relaxed * (1 - self._closure.at(time)),
            squint=min(1.0, self._squint.at(time) + 0.25 * self._closure.at(time)),
            brow=self._brow.at(time) - 2 * self._closure.at(time),
            pupil=0.38 + 0.025 * wave[4] + 0.01 * wave[5],
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
    time = random.uniform(0.6, 1.2)
    while time < seconds:
        closing, shut, opening = random.uniform((0.06, 0.01, 0.10), (0.08, 0.04, 0.17))
        starts += [time, time + closing + shut]
        durations += [closing, opening]
        levels += [1.0, 0.0]
        time += closing + shut + opening + random.uniform(1.5, 4.0)
    return Track(starts, durations, levels)


def _expressions(seconds: float, random: np.random.Generator) -> tuple[Track, Track, Track]:
    """Widening of the upper lid, squint of the lower one and brow height, moving together."""
    starts, durations = [], []
    widenings, squints, brows = [0.0], [0.1], [0.0]
    time = random.uniform(0.3, 0.9)
    while time < seconds:
        starts.append(time)
        durations.append(random.uniform(0.25, 0.5))
        effort = random.uniform(-1, 1)  # frowning below 0, surprised above
        widenings.append(0.22 * effort)
        squints.append(max(0.0, 0.2 - 0.8 * effort) * random.uniform(0.5, 1))
        brows.append(12 * effort)
        time += durations[-1] + random.uniform(0.6, 1.6)
    return (
        Track(starts, durations, widenings),
        Track(starts, durations, squints),
        Track(starts, durations, brows),
    )
