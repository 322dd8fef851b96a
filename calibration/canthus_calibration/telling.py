"""What a calibration says of what it found: reasons, warnings and a table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from canthus.calibration import Cost
from canthus_calibration.encoders import FURTHEST, Errors
from canthus_calibration.fallback import Goal, worst
from canthus_calibration.interval import clips_to_show
from canthus_calibration.layers import Layer
from canthus_calibration.subsets import Drawn

_OUT_OF_REACH = 100  # times the sequences that there are: so many nobody films to show it
_WORTH_IT = 0.5  # of the encoders' work that should be in INT8


def reason(
    layer: Layer,
    costs: Mapping[str, Mapping[str, float]],
    off: Mapping[str, Errors],
    must: Sequence[Layer],
    chosen: Sequence[Layer],
    in_float: Sequence[Layer],
) -> str:
    """Why a layer stays in float.

    Args:
        costs: by layer's name and lighting, in squares of logits.
        off: of those that stay for the sake of their encoder's features, what each alone does to these.
        must: the layers without a range.
        chosen: those that aren't dragged along by others.
        in_float: all of them.
    """
    if layer in must:
        return "reads the same value all over in every lighting: no range to be had"
    if layer not in chosen:
        return f"its result is read by {next(other.name for other in in_float if other.reads(layer))}"
    if layer.name in off:
        lighting, error = worst(off[layer.name])
        return f"puts the features of {layer.part} {100 * error:.2g} % off in {lighting}, alone"
    lighting, cost = worst(costs[layer.name])
    return f"moves answers' leads by {moves(cost)} in {lighting}, alone"


def moves(cost: float) -> str:
    """How far leads move, of the mean of the squares."""
    return f"{math.sqrt(cost):.2g} logits"


def doubts(found: Mapping[str, Cost], goal: Goal) -> list[str]:
    """A warning for each lighting in which the goal is missed, or isn't shown to hold."""
    warnings = []
    for name, cost in found.items():
        said = f"{name}: on other volunteers {agreement(cost)} are answered as in float32"
        if goal.missed(cost):
            warnings.append(
                f"{said} and UAR changes by {-cost.uar_loss:+.1f} points; the goal is {goal.agreement:g} % and no more "
                f"than {goal.uar_loss:g} lost"
            )
        elif not goal.shown(cost):
            warnings.append(f"{said}; the goal is {goal.agreement:g} %, and {_wanted(cost, goal)}")
    return warnings


def agreement(cost: Cost) -> str:
    """How many clips are answered as in float32, with its interval."""
    return f"{cost.agreement:.1f} %" + (f" ({cost.agreement_interval})" if cost.agreement_interval else "")


def _wanted(cost: Cost, goal: Goal) -> str:
    """How many sequences would show that the goal is held."""
    share, held = cost.agreement / 100, goal.agreement / 100
    if cost.agreement_low is None or not cost.sequences:
        return "of one volunteer nothing follows"
    have = clips_to_show(share, cost.agreement_low / 100)
    times = clips_to_show(share, held) / have
    if times > _OUT_OF_REACH:
        return f"{cost.sequences} sequences of {cost.volunteers} volunteers can't say whether it is missed"
    return (
        f"to show that it is held takes some {math.ceil(cost.sequences * times)} sequences; there are "
        f"{cost.sequences}, of {cost.volunteers} volunteers"
    )


def far(found: Mapping[str, Errors]) -> list[str]:
    """A warning for each encoder whose features are further off than they should be."""
    warnings = []
    for part, errors in found.items():
        lighting, error = worst(errors)
        if not error <= FURTHEST:
            warnings.append(
                f"{part}: on other volunteers its features are {100 * error:.2g} % off in {lighting}; the goal is "
                f"{100 * FURTHEST:g} %"
            )
    return warnings


def in_name(layers: Sequence[Layer], in_float: Sequence[Layer], held: Mapping[int, float]) -> list[str]:
    """A warning, if most of the work is left in float; `held` as in `what_holds`."""
    share = sum(layer.work for layer in layers if layer not in in_float) / sum(layer.work for layer in layers)
    if share >= _WORTH_IT:
        return []
    return [
        f"INT8 in little more than name: of the encoders' work {100 * share:.0f} % is in INT8, since the other layers "
        "would change too many answers. It may run no faster than float32, which changes none"
        + what_holds(held, len(layers))
    ]


def what_holds(held: Mapping[int, float], layers: int) -> str:
    """What to ask for instead, after the trial with the fewest layers in float.

    Args:
        held: percent of answers that hold, by how many layers were tried in float.
        layers: how many there are.
    """
    if not held or held[min(held)] < 50:
        return ""
    fewest = min(held)
    percent = f"{math.floor(10 * held[fewest]) / 10:g}"
    return f". With {fewest} of {layers} layers in float some {percent} % hold: --agreement {percent} asks for that"


def counts(drawn: Drawn) -> str:
    """How many clips there are in each lighting."""
    return ", ".join(f"{count} {name}" for name, count in drawn.counts().items())


def table(found: Mapping[str, Cost]) -> str:
    """What INT8 costs, a line for each lighting."""
    rows = [f"\n    {'':<12}{'agree':>24}{'divergence, bits':>20}{'UAR':>8}{'INT8':>7}{'WAR':>8}{'INT8':>7}"]
    for name, cost in found.items():
        divergence = f"{cost.divergence:.1e}, ≤ {cost.worst_divergence:.1e}"
        rows.append(
            f"\n    {name:<12}{agreement(cost):>24}{divergence:>20}{cost.uar:>8.1f}{cost.uar_int8:>7.1f}"
            f"{cost.war:>8.1f}{cost.war_int8:>7.1f}"
        )
    return "".join(rows)
