"""How far two networks' answers are apart, and how often each is right, in each lighting."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from canthus.calibration import Cost
from canthus_calibration.interval import design_effect, share_between
from canthus_calibration.subsets import Drawn
from canthus_model.evaluate.ablation.panel import Panel, estimate
from canthus_model.see.names import LIGHTINGS, SequenceName

Floats = NDArray[np.floating]
Places = NDArray[np.int64]

_CLOSE = 0.1  # of the clips: those whose answers are the next to change


def compare(float32: Floats, int8: Floats, clips: Drawn) -> dict[str, Cost]:
    """By lighting, what INT8 costs; lightings without clips are left out.

    Args:
        float32, int8: probabilities (N, labels).
        clips: whose they are.
    """
    costs = {}
    for place, name in enumerate(LIGHTINGS):
        some = clips.lighting == place
        if some.any():
            # Recalls are of what the annotation says, which a sequence's name may say otherwise.
            names = [replace(clips.names[i], emotion=str(clips.label[i])) for i in np.flatnonzero(some)]
            costs[name] = _cost(float32[some], int8[some], clips.label[some], names)
    return costs


def closest_lead(probabilities: Floats, lighting: Places) -> float:
    """What the hundredth closest of the answers (N, labels) leads by, in logits, in the lighting where that is least.

    An arithmetic that moves every lead by as much changes one answer in a hundred there, at most.
    """
    leads = _leads(probabilities)
    return min(float(np.quantile(leads[lighting == place], 0.01)) for place in np.unique(lighting))


def expected_agreement(float32: Floats, int8: Floats, lighting: Places) -> list[float]:
    """Percent of the answers that stay, in each lighting that has clips.

    Of some hundred clips two or three change their answer, so counting them tells little. Here any clip of a lighting
    may lead by as much as it does and be moved as far as any other is, either way: the share of such pairs in which the
    lead is lost has half the error.

    Args:
        float32, int8: probabilities (N, labels).
        lighting: (N,), places in LIGHTINGS.
    """
    leads = _leads(float32)
    moved = np.abs(_lead_of(int8, float32.argmax(1)) - leads)
    stay = []
    for place in np.unique(lighting):
        some = lighting == place
        smaller = np.searchsorted(np.sort(moved[some]), leads[some], side="right")
        stay.append(100 - 50 * (1 - smaller / some.sum()).mean())
    return stay


def leads_moved(float32: Floats, int8: Floats) -> NDArray[np.float64]:
    """How far INT8 moves what float32's answer leads by, up or down, in logits, (N,)."""
    return np.abs(_lead_of(int8, float32.argmax(1)) - _leads(float32))


def _divergences(p: Floats, q: Floats) -> NDArray[np.float64]:
    """Jensen-Shannon divergence of each row, in bits, (N,)."""
    p, q = (np.maximum(x.astype(np.float64), 1e-12) for x in (p, q))
    middle = (p + q) / 2
    both: NDArray[np.float64] = (p * np.log2(p / middle)).sum(1) + (q * np.log2(q / middle)).sum(1)
    return np.maximum(both, 0.0) / 2


def effective_clips(float32: Floats, same: NDArray[np.bool_], volunteer: Places) -> float:
    """As many independent clips as would tell as much of how often two networks answer the same.

    Too few answers change to tell how much the clips of one volunteer resemble one another in that; those that are the
    next to change, for they lead by the least, tell it too.

    Args:
        float32: probabilities (N, labels).
        same: (N,), where both answer the same.
        volunteer: (N,), two or more.
    """
    leads = _leads(float32)
    close = leads <= np.quantile(leads, _CLOSE)
    return len(same) / max(design_effect(close, volunteer), design_effect(same, volunteer))


def _leads(probabilities: Floats) -> NDArray[np.float64]:
    """What each answer leads by, in logits, (N,)."""
    return _lead_of(probabilities, probabilities.argmax(1))


def _lead_of(probabilities: Floats, answers: Places) -> NDArray[np.float64]:
    """What the given answers lead by, in logits, (N,); negative where another one leads."""
    logits = np.log(np.maximum(probabilities.astype(np.float64), 1e-30))
    own = np.take_along_axis(logits, answers[:, None], 1)[:, 0]
    np.put_along_axis(logits, answers[:, None], -np.inf, 1)
    leads: NDArray[np.float64] = own - logits.max(1)
    return leads


def _cost(float32: Floats, int8: Floats, label: Places, names: list[SequenceName]) -> Cost:
    answers, answers_int8 = float32.argmax(1), int8.argmax(1)
    divergence, same = _divergences(float32, int8), answers == answers_int8
    right, right_int8 = answers == label, answers_int8 == label
    panel, low, high = Panel(names), None, None
    uar, uar_int8 = panel.uar(right[None]), panel.uar(right_int8[None])
    if panel.volunteers > 1:
        volunteer = np.array([int(name.volunteer) for name in names])
        between = share_between(float(same.mean()), effective_clips(float32, same, volunteer))
        low, high = (100 * end for end in between)
    return Cost(
        clips=len(label),
        agreement=100 * float(same.mean()),
        agreement_low=low,
        agreement_high=high,
        uar_loss_low=estimate(uar - uar_int8).low,
        sequences=len(set(names)),
        volunteers=panel.volunteers,
        divergence=float(divergence.mean()),
        worst_divergence=float(divergence.max()),
        uar=float(uar[0]),
        uar_int8=float(uar_int8[0]),
        war=100 * float(right.mean()),
        war_int8=100 * float(right_int8.mean()),
    )
