"""How far two networks' answers are apart, and how often each is right, in each lighting."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from canthus.calibration import Cost
from canthus_model.see.names import LIGHTINGS

Floats = NDArray[np.floating]
Places = NDArray[np.int64]


def compare(float32: Floats, int8: Floats, lighting: Places, label: Places) -> dict[str, Cost]:
    """By lighting, what INT8 costs; lightings without clips are left out.

    Args:
        float32, int8: probabilities (N, labels).
        lighting: (N,), places in LIGHTINGS.
        label: (N,), true places in the labels.
    """
    costs = {}
    for place, name in enumerate(LIGHTINGS):
        some = lighting == place
        if some.any():
            costs[name] = _cost(float32[some], int8[some], label[some])
    return costs


def closest_lead(probabilities: Floats, lighting: Places) -> float:
    """What the hundredth closest of the answers (N, labels) leads by, in logits, in the lighting where that is least.

    An arithmetic that moves every lead by as much changes one answer in a hundred there, at most.
    """
    second, first = np.sort(np.log(np.maximum(probabilities.astype(np.float64), 1e-30)), 1)[:, -2:].T
    return min(float(np.quantile((first - second)[lighting == place], 0.01)) for place in np.unique(lighting))


def divergences(p: Floats, q: Floats) -> NDArray[np.float64]:
    """Jensen-Shannon divergence of each row, in bits, (N,)."""
    p, q = (np.maximum(x.astype(np.float64), 1e-12) for x in (p, q))
    middle = (p + q) / 2
    both = (p * np.log2(p / middle)).sum(1) + (q * np.log2(q / middle)).sum(1)
    return np.maximum(both / 2, 0.0)


def _cost(float32: Floats, int8: Floats, label: Places) -> Cost:
    answers, answers_int8 = float32.argmax(1), int8.argmax(1)
    divergence = divergences(float32, int8)
    return Cost(
        clips=len(label),
        agreement=100 * float((answers == answers_int8).mean()),
        divergence=float(divergence.mean()),
        worst_divergence=float(divergence.max()),
        uar=_uar(answers, label),
        uar_int8=_uar(answers_int8, label),
        war=100 * float((answers == label).mean()),
        war_int8=100 * float((answers_int8 == label).mean()),
    )


def _uar(answers: Places, label: Places) -> float:
    return 100 * float(np.mean([(answers[label == one] == one).mean() for one in np.unique(label)]))
