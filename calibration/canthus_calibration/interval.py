"""How sure a share of some clips is, where those of one volunteer resemble one another."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from canthus_model.evaluate.ablation.panel import CONFIDENCE

_DEVIATIONS = NormalDist().inv_cdf(0.5 + CONFIDENCE / 200)  # of a normal distribution: CONFIDENCE percent lie within


def design_effect(true: NDArray[np.bool_], volunteer: NDArray[np.int64]) -> float:
    """By how many times the share of `true` varies more than that of as many independent clips; 1 at least.

    Clips of one volunteer are drawn together. The variance of their share is estimated from how far the volunteers
    are apart (Kish 1965, "Survey Sampling").

    Args:
        true: (N,).
        volunteer: (N,), whose clip it is; of two volunteers or more.
    """
    share, (_, person) = true.mean(), np.unique(volunteer, return_inverse=True)
    if share in (0, 1):
        return 1.0
    clips, hits = np.bincount(person), np.bincount(person, true)
    people = len(clips)
    variance = people / (people - 1) * ((hits - share * clips) ** 2).sum() / len(true) ** 2
    return max(float(variance / (share * (1 - share) / len(true))), 1.0)


def share_between(share: float, clips: float) -> tuple[float, float]:
    """The interval (low, high) for a share, 0 to 1, of so many independent clips (Wilson 1927).

    It says something of shares of none and of all too, unlike one that is drawn from the clips themselves; with a
    number of clips that a design effect was taken from, it serves for clips that aren't independent (Korn and Graubard
    1998; Dean and Pagano 2015).
    """
    square = _DEVIATIONS**2 / clips
    middle = share + square / 2
    half = math.sqrt(square * (share * (1 - share) + square / 4))
    low, high = (middle - half) / (1 + square), (middle + half) / (1 + square)
    return low if share > 0 else 0.0, high if share < 1 else 1.0  # which sums of floats only come near


def clips_to_show(share: float, goal: float) -> float:
    """So many independent clips it takes until the interval of `share` lies above `goal`; infinite if it never does."""
    if share <= goal:
        return math.inf
    # Where the lower end equals the goal: (share - goal)^2 = z^2 goal (1 - goal) / clips, as Wilson's is the inverse.
    return _DEVIATIONS**2 * goal * (1 - goal) / (share - goal) ** 2
