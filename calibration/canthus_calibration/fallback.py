"""Which layers stay in float: as few as hold the goal, the costliest in the worst lighting first."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from canthus.calibration import Cost
from canthus_calibration.layers import Layer


@dataclass(frozen=True)
class Goal:
    """What INT8 may cost in the worst lighting.

    Attributes:
        agreement: percent of clips with the same answer, at least.
        uar_loss: points of UAR, at most.
        divergence: mean, in bits, at most. On some hundred clips the other two hang on two or three; this doesn't.
    """

    agreement: float
    uar_loss: float
    divergence: float = math.inf

    def holds(self, costs: Mapping[str, Cost]) -> bool:
        return all(
            cost.agreement >= self.agreement and cost.uar_loss <= self.uar_loss and cost.divergence <= self.divergence
            for cost in costs.values()
        )


def worst(costs: Mapping[str, float]) -> tuple[str, float]:
    """The lighting that a layer costs most in, and how much there."""
    return max(costs.items(), key=lambda item: item[1])


def fewest_in_float(
    layers: Sequence[Layer],
    costs: Mapping[str, Mapping[str, float]],
    must: Sequence[Layer],
    good: Callable[[list[Layer]], bool],
) -> list[Layer]:
    """The layers to keep in float, costliest first behind those that `must`.

    Their number is doubled until the goal holds and then halved in between: some ten trials, however many
    layers there are. With all in float the goal holds by itself, so it ends.

    Args:
        costs: by layer's name and lighting.
        good: whether the goal holds with these layers in float.
    """
    others = [layer for layer in layers if layer not in must]
    ordered = [*must, *sorted(others, key=lambda layer: -worst(costs[layer.name])[1])]
    if good(ordered[: len(must)]):
        return ordered[: len(must)]
    bad, fine = len(must), len(must) + 1
    while fine < len(ordered) and not good(ordered[:fine]):
        bad, fine = fine, min(len(must) + 2 * (fine - len(must)), len(ordered))
    while fine - bad > 1:
        middle = (bad + fine) // 2
        bad, fine = (bad, middle) if good(ordered[:middle]) else (middle, fine)
    return ordered[:fine]
