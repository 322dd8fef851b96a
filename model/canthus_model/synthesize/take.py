"""One take: a volunteer shows an expression in some light, and the sensor looks on."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator

import numpy as np

from canthus_model.config import LABELS
from canthus_model.synthesize.expressions import draw_apex, one_after_another, onset_apex_offset
from canthus_model.synthesize.eye import Eye
from canthus_model.synthesize.face import draw_face, worn_again
from canthus_model.synthesize.lighting import LIGHTING, draw_illumination, event_camera
from canthus_model.synthesize.motion import Motion
from canthus_model.synthesize.simulation import FRAMES_PER_SECOND, Moment, simulate

FIRST_SEEN = -0.029  # seconds: where the window of the first frame's events begins


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

    @property
    def seconds(self) -> float:
        return self.frames / FRAMES_PER_SECOND

    def moments(self, lead_in: int = 0, noise: int = 0) -> Iterator[Moment]:
        """The frames of the take, each with the events that follow; before them `lead_in` frames more.

        Another `noise` is the same scene seen by a sensor whose noise fell otherwise.
        """
        random = np.random.default_rng([self.seed, self.volunteer, 1 + self.number])
        sensor = np.random.default_rng([self.seed, self.volunteer, 1 + self.number, noise + 1])
        face, lighting = worn_again(draw_face(self.seed, self.volunteer), random), LIGHTING[self.lighting]
        apexes = [draw_apex(label, random) * face.gains for label in self.labels]
        if len(apexes) == 1:
            seen = FIRST_SEEN, self.seconds - 1 / FRAMES_PER_SECOND
            expression = onset_apex_offset(apexes[0], *seen, random)
        else:
            expression = one_after_another(apexes, [part * self.seconds for part in self.parts])
        motion = Motion(self.seconds, expression, random.uniform(*lighting.pupil), random)
        eye = Eye(face, motion, draw_illumination(lighting, random))
        # The pixels have seen an expression before, as they will have in an app: take this take's own, at its apex.
        frames = range(-lead_in, self.frames)
        return simulate(eye, frames, event_camera(lighting), sensor, before=self.seconds / 2)

    def ends(self) -> list[float]:
        """When each expression ends, in seconds from the start."""
        return [self.seconds * part for part in itertools.accumulate(self.parts)]


_HELD = (1.0, 6.0)  # seconds that an expression of a parade lasts; felt ones last half a second to four (Ekman 2003)
_PAUSE = (0.6, 2.5)  # seconds of a neutral face between two of them
_PAUSES = 0.6  # how often there is one


def parade(seed: int, seconds: float) -> Take:
    """A take of `seconds` in which a volunteer of no data set shows one expression after another, short and long.

    Between most of them the face is neutral, as faces are.
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
    return Take(seed, 0, 0, labels, parts, "normal", max(1, round(seconds * FRAMES_PER_SECOND)))


def _draw(bounds: tuple[float, float], random: np.random.Generator) -> float:
    return float(np.exp(random.uniform(*np.log(bounds))))
