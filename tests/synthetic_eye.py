"""An eye to look at, as the takes of a data set have it."""

import numpy as np

from canthus_model.synthesize.expressions import draw_apex, onset_apex_offset
from canthus_model.synthesize.eye import Eye
from canthus_model.synthesize.face import draw_face
from canthus_model.synthesize.lighting import LIGHTING, Light, draw_illumination
from canthus_model.synthesize.motion import Motion, Track


def make_motion(seconds: float, seed: int = 0, label: str = "neutral") -> Motion:
    random = np.random.default_rng([seed, 1])
    apex = draw_apex(label, random)
    return Motion(seconds, onset_apex_offset(apex, 0.0, seconds, random), Track([], [], [0.4]), random)


def make_eye(seconds: float, seed: int = 0, label: str = "neutral", lighting: str = "normal") -> Eye:
    random = np.random.default_rng([seed, 2])
    light = Light(draw_illumination(LIGHTING[lighting], random))
    return Eye(draw_face(seed, 1), make_motion(seconds, seed, label), light)
