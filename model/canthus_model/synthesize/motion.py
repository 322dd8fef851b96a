"""How an eye moves: gaze, blinks, and the camera on the head, as smooth functions of time."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

GAZE_RANGE = (math.radians(18), math.radians(11))  # largest sideways and vertical gaze, radians
SLIP = 3.5  # pixels that the camera may be away from its place on the head: half a millimetre
LIVELIEST, CALMEST = 0.5, 2.5  # seconds between two fixations of a wearer who looks around, and of one who doesn't
WALKERS = 0.2  # part of the takes in which the wearer walks
# Hz: two for each gaze direction, two for the pupil, two for the muscles
_WANDER = np.array([0.7, 1.9, 0.9, 2.3, 0.3, 1.1, 1.3, 3.1])


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

    def moves(self) -> list[tuple[float, float]]:
        """When each move begins and ends, in seconds."""
        return list(zip(self._starts.tolist(), (self._starts + self._durations).tolist(), strict=True))

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

    `expression` gives the strength of the action units; `pupil` its usual size, of the iris radius.
    """

    def __init__(self, seconds: float, expression: Track, pupil: Track, random: np.random.Generator) -> None:
        self._expression, self._pupil = expression, pupil
        calm = math.exp(random.uniform(math.log(LIVELIEST), math.log(CALMEST)))
        self._gaze_x, self._gaze_y = _saccades(seconds, calm, random)
        self.closure = _blinks(seconds, random)
        """Of the lids, 0 open to 1 shut."""
        self._phases = random.uniform(0, 2 * math.pi, _WANDER.size)
        self._slip = _slips(seconds, random)
        self._step = _Walk(random) if random.random() < WALKERS else None
        self._flutter = random.uniform(0.005, 0.02)

    def pose(self, time: float) -> Pose:
        """The eye at `time` (seconds from the start)."""
        wave = np.sin(2 * math.pi * time * _WANDER + self._phases).tolist()
        drift = math.radians(0.12)  # the slow wander of a fixating eye, half a degree per second
        slip = self._slip.at(time) + (self._step.at(time) if self._step else 0)
        return Pose(
            gaze_x=self._gaze_x.at(time) + drift * (wave[0] + 0.4 * wave[1]),
            gaze_y=self._gaze_y.at(time) + drift * (wave[2] + 0.4 * wave[3]),
            closure=self.closure.at(time),
            pupil=float(self._pupil.at(time)) * (1 + 0.06 * wave[4] + 0.03 * wave[5]),
            units=self._expression.at(time) * (1 + self._flutter * (wave[6] + 0.5 * wave[7])),
            slip_x=float(slip[0]),
            slip_y=float(slip[1]),
        )


def _saccades(seconds: float, calm: float, random: np.random.Generator) -> tuple[Track, Track]:
    """Fixations of 0.2 s to several seconds, `calm` seconds as a rule, joined by saccades on the main sequence.

    A saccade of A degrees lasts 21 ms + 2.2 ms A (Carpenter 1988, "Movements of the Eyes"). Within a fixation there
    are microsaccades of a third of a degree, one or two a second (Otero-Millan et al. 2013, PNAS 110: one continuum
    from exploring to fixating, in which saccades become fewer and smaller).
    """
    starts, durations, places = [], [], [np.zeros(2)]
    time, gaze = 0.0, np.zeros(2)
    turn = _fixation(calm, random) * random.random()  # to look elsewhere: the first fixation has begun before
    while (time := min(turn, time + 0.15 + random.exponential(0.6))) < seconds:
        if time == turn:
            gaze = random.uniform(-1, 1, 2) * GAZE_RANGE
            place = gaze
        else:
            place = gaze + random.normal(0, math.radians(0.25), 2)
        starts.append(time)
        durations.append(0.021 + 0.0022 * math.degrees(math.hypot(*(place - places[-1]))))
        places.append(place)
        if time == turn:
            turn += durations[-1] + _fixation(calm, random)
        time += durations[-1]
    xs, ys = zip(*places, strict=True)
    return Track(starts, durations, xs), Track(starts, durations, ys)


def _fixation(calm: float, random: np.random.Generator) -> float:
    """Seconds of one: skewed, as those of people who look at scenes are (Henderson 2003, Trends Cogn Sci 7)."""
    return float(np.clip(calm * random.lognormal(0, 0.5), 0.2, 6.0))


def _slips(seconds: float, random: np.random.Generator) -> Track:
    """Where the camera sits, (2,) pixels right and down: still most of the time, slipping now and then.

    Glasses slip when the head turns or the face moves (Niehorster et al. 2020, Behav Res Methods 52); how often and
    how far is our choice: every 1 to 8 s as a rule, within SLIP of where they should be.
    """
    still = math.exp(random.uniform(math.log(1.0), math.log(8.0)))
    starts, durations, places = [], [], [_place(random)]
    time = random.exponential(still)
    while time < seconds:
        starts.append(time)
        durations.append(random.uniform(0.12, 0.45))
        places.append(_place(random))
        time += durations[-1] + 0.1 + random.exponential(still)
    return Track(starts, durations, places)


def _place(random: np.random.Generator) -> np.ndarray:
    """(2,), at most SLIP away from (0, 0)."""
    angle, far = random.uniform(0, 2 * math.pi), SLIP * math.sqrt(random.random())
    return np.array([far * math.cos(angle), far * math.sin(angle)])


class _Walk:
    """Glasses that hop with each step, some two a second (MacDougall and Moore 2005, J Appl Physiol 99)."""

    def __init__(self, random: np.random.Generator) -> None:
        self._rate, self._phase = random.uniform(1.7, 2.2), random.uniform(0, 1)
        self._up, self._side = random.uniform(0.3, 1.0), random.uniform(0.1, 0.4)  # pixels

    def at(self, time: float) -> np.ndarray:
        """(2,) pixels right and down."""
        steps = 2 * math.pi * (time * self._rate + self._phase)
        hop = math.sin(steps) + 0.35 * math.sin(2 * steps)
        return np.array([self._side * math.sin(steps / 2), self._up * hop])


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
