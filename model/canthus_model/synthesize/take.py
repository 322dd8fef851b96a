"""One take: a volunteer shows an expression in some light, and the sensor looks on."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from canthus_model.config import LABELS
from canthus_model.synthesize.expressions import draw_apex, one_after_another, onset_apex_offset
from canthus_model.synthesize.eye import Eye
from canthus_model.synthesize.face import draw_face, worn_again
from canthus_model.synthesize.lighting import LIGHTING, Light, draw_illumination, event_camera, pupil
from canthus_model.synthesize.motion import Motion, Track
from canthus_model.synthesize.no_eye import Interrupted, Interruption, draw_interruptions
from canthus_model.synthesize.sensor import EventCamera
from canthus_model.synthesize.simulation import FRAMES_PER_SECOND, Moment, Scene, simulate

FIRST_SEEN = -0.029  # seconds: where the window of the first frame's events begins
_OTHER_LIGHT, _NO_EYE = -1, -2  # what is drawn for these has numbers of its own, so that all else is as without them


class Stage(NamedTuple):
    """What the sensor looks at in a take."""

    scene: Scene
    expression: Track
    motion: Motion
    camera: EventCamera
    interruptions: list[Interruption]


@dataclasses.dataclass(frozen=True)
class Take:
    """What is to be filmed; everything random in it follows from the numbers."""

    seed: int
    volunteer: int
    number: int  # of the take among all of its seed
    labels: tuple[str, ...]  # expressions; several are shown one after another, each from rest and back
    parts: tuple[float, ...]  # of the take, that each expression has; they add up to 1
    lighting: str  # one of `names.LIGHTINGS`
    frames: int
    then: str | None = None  # the lighting of its second half, if that is another
    no_eye: bool = False  # whether the sensor also sees what is no eye

    @property
    def seconds(self) -> float:
        return self.frames / FRAMES_PER_SECOND

    def stage(self) -> Stage:
        """All that there is to be seen of it."""
        random = np.random.default_rng([self.seed, self.volunteer, 1 + self.number])
        face, lighting = worn_again(draw_face(self.seed, self.volunteer), random), LIGHTING[self.lighting]
        apexes = [draw_apex(label, random) * face.gains for label in self.labels]
        if len(apexes) == 1:
            seen = FIRST_SEEN, self.seconds - 1 / FRAMES_PER_SECOND
            expression = onset_apex_offset(apexes[0], *seen, random)
        else:
            expression = one_after_another(apexes, [part * self.seconds for part in self.parts])
        sizes, later = [random.uniform(*lighting.pupil)], None
        if self.then:
            other = self._drawn_apart(_OTHER_LIGHT)
            sizes.append(other.uniform(*LIGHTING[self.then].pupil))
            later = draw_illumination(LIGHTING[self.then], other)
        motion = Motion(self.seconds, expression, pupil(sizes, self.turns), random)
        light = Light(draw_illumination(lighting, random), later, self.turns)
        scene: Scene = Eye(face, motion, light)
        interruptions = []
        if self.no_eye:
            apart = self._drawn_apart(_NO_EYE)
            interruptions = draw_interruptions(self.seconds, apart)
            scene = Interrupted(scene, interruptions, light, apart)
        return Stage(scene, expression, motion, event_camera(lighting), interruptions)

    def moments(self, lead_in: int = 0, noise: int = 0) -> Iterator[Moment]:
        """The frames of the take, each with the events that follow; before them `lead_in` frames more.

        Another `noise` is the same scene seen by a sensor whose noise fell otherwise.
        """
        sensor = np.random.default_rng([self.seed, self.volunteer, 1 + self.number, noise + 1])
        stage = self.stage()
        # The pixels have seen an expression before, as they will have in an app: take this take's own, at its apex.
        before = self.seconds / 2
        frames = range(-lead_in, self.frames)
        return simulate(stage.scene, frames, stage.camera, sensor, before=before, noise_rate=self._noise_rate)

    @property
    def turns(self) -> float:
        """When its light begins to turn into another, in seconds; infinite if it doesn't."""
        return self.seconds / 2 if self.then else math.inf

    def ends(self) -> list[float]:
        """When each expression ends, in seconds from the start."""
        return [self.seconds * part for part in itertools.accumulate(self.parts)]

    def _noise_rate(self, time: float) -> float:
        name = self.then if self.then and time >= self.turns else self.lighting
        return LIGHTING[name].noise_rate

    def _drawn_apart(self, what: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, self.volunteer, 1 + self.number, 0, -what])


_HELD = (1.0, 6.0)  # seconds that an expression of a parade lasts; felt ones last half a second to four (Ekman 2003)
_PAUSE = (0.6, 2.5)  # seconds of a neutral face between two of them
_PAUSES = 0.6  # how often there is one


def parade(
    seed: int, seconds: float, lighting: str = "normal", then: str | None = None, *, no_eye: bool = False
) -> Take:
    """A take of `seconds` in which a volunteer of no data set shows one expression after another, short and long.

    Between most of them the face is neutral, as faces are. `then` is the lighting of its second half, if that is
    another; with `no_eye` the sensor also sees what is no eye, now and then.
    """
    random = np.random.default_rng([seed, 0])
    shown: list[tuple[str, float]] = []
    for label in itertools.cycle(random.permutation(LABELS).tolist()):
        if shown and "neutral" not in (label, shown[-1][0]) and random.random() < _PAUSES:
            shown.append(("neutral", _draw(_PAUSE, random)))
        shown.append((label, _draw(_HELD, random)))
        if (length := sum(part for _, part in shown)) > seconds - _HELD[0]:
            break
    labels, parts = zip(*((label, part / length) for label, part in shown), strict=True)
    frames = max(1, round(seconds * FRAMES_PER_SECOND))
    return Take(seed, 0, 0, labels, parts, lighting, frames, then, no_eye)


def _draw(bounds: tuple[float, float], random: np.random.Generator) -> float:
    return float(np.exp(random.uniform(*np.log(bounds))))
