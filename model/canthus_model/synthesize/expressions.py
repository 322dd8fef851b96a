"""The seven expressions as movements around one eye, in the action units of FACS.

Which units make an expression is after Ekman and Friesen's prototypes (Facial Action Coding System, 1978;
Emotional FACS, 1983), of which only what one eye shows is kept. How strong they are is our choice.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from canthus_model.synthesize.motion import Track

ACTION_UNITS = (
    "inner_brow_raiser",  # AU 1
    "outer_brow_raiser",  # AU 2
    "brow_lowerer",  # AU 4
    "upper_lid_raiser",  # AU 5
    "cheek_raiser",  # AU 6
    "lid_tightener",  # AU 7
    "nose_wrinkler",  # AU 9
    "lid_droop",  # AU 43, slight
)

PROTOTYPES = {
    "angry": {"brow_lowerer": 1.05, "lid_tightener": 0.65, "upper_lid_raiser": 0.25},
    "disgust": {"nose_wrinkler": 1.1, "brow_lowerer": 0.50, "lid_tightener": 0.25, "cheek_raiser": 0.10},
    "fear": {
        "inner_brow_raiser": 0.95,
        "outer_brow_raiser": 0.35,
        "brow_lowerer": 0.45,
        "upper_lid_raiser": 0.90,
        "lid_tightener": 0.60,
    },
    "happiness": {"cheek_raiser": 1.0, "lid_tightener": 0.35},
    "neutral": {},
    "sadness": {"inner_brow_raiser": 0.85, "brow_lowerer": 0.40, "lid_droop": 0.80},
    "surprise": {"inner_brow_raiser": 0.85, "outer_brow_raiser": 1.0, "upper_lid_raiser": 0.75},
}
"""Mean strength of each unit at the apex, 0 none and 1 full; other units are at rest."""


def draw_apex(label: str, random: np.random.Generator) -> np.ndarray:
    """Strength of each action unit at the apex of one take of an expression, (len(ACTION_UNITS),).

    Takes differ as a whole and unit by unit, and every unit is a little active in all of them: weak sadness
    comes near to neutral, and fear with little of the brow lowerer near to surprise.
    """
    mean = np.array([PROTOTYPES[label].get(unit, 0.0) for unit in ACTION_UNITS])
    whole = random.uniform(0.85, 1.15)
    each = np.clip(random.normal(1, 0.09, mean.size), 0.6, 1.4)
    return np.maximum(mean * whole * each + random.normal(0, 0.04, mean.size), 0)


def one_after_another(apexes: list[np.ndarray], seconds: Sequence[float]) -> Track:
    """Expressions that take so many seconds each, coming up from rest and fading to it again."""
    rest = np.zeros(len(ACTION_UNITS))
    starts, durations, levels, begin = [], [], [rest], 0.0
    for apex, length in zip(apexes, seconds, strict=True):
        fade = min(0.35, length / 4)
        starts += [begin, begin + length - fade]
        durations += [fade, fade]
        levels += [apex, rest]
        begin += length
    return Track(starts, durations, levels)


def onset_apex_offset(apex: np.ndarray, begin: float, end: float, random: np.random.Generator) -> Track:
    """An expression that sets in about `begin` and has faded about `end`, in seconds.

    As in sequences that were cut tightly, it may already be coming up when one begins, and still be fading when it
    ends. Both ends are alike, so that on average a sequence ends as it began.
    """
    onset, offset = random.uniform(0.2, 0.5, 2)
    coming, fading = random.uniform(0.0, 0.6, 2)  # parts of the onset before `begin`, of the offset after `end`
    rise = begin - coming * onset
    fall = max(rise + onset, end + fading * offset - offset)
    rest = np.zeros_like(apex)
    return Track([rise, fall], [onset, offset], [rest, apex, rest])
