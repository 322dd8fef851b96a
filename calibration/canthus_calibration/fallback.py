"""Which layers stay in float: as few as hold the goal, the costliest first."""

from __future__ import annotations

import math
from bisect import bisect_left
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

    Of both a cost has intervals: what clips of so few people can't tell from the goal doesn't miss it, and
    isn't shown to hold it either.
    """

    agreement: float
    uar_loss: float

    def missed(self, cost: Cost) -> bool:
        """Whether one lighting's cost misses it for certain."""
        agreement = 100.0 if cost.agreement_high is None else cost.agreement_high
        uar_loss = -100.0 if cost.uar_loss_low is None else cost.uar_loss_low
        return agreement < self.agreement or uar_loss > self.uar_loss

    def shown(self, cost: Cost) -> bool:
        """Whether the clips of one lighting show that its agreement holds, and nothing is missed."""
        return not self.missed(cost) and (cost.agreement_low or 0.0) >= self.agreement


def worst(costs: Mapping[str, float]) -> tuple[str, float]:
    """The lighting that a layer costs most in, and how much there."""
    return max(costs.items(), key=lambda item: item[1])


def fewest_in_float(
    layers: Sequence[Layer],
    costs: Mapping[str, Mapping[str, float]],
    must: Sequence[Layer],
    good: Callable[[list[Layer]], bool],
) -> list[Layer]:
    """The layers to keep in float: behind those that `must`, those that cost the most in INT8, in the worst lighting.

    Their number is found by bisection, in some seven trials. With all in float it ends.

    Args:
        costs: by layer's name and lighting.
        good: a trial: whether the goal holds with these layers in float.
    """
    others = [layer for layer in layers if layer not in must]
    ordered = [*must, *sorted(others, key=lambda layer: -_octave(worst(costs[layer.name])[1]))]
    counts = range(len(must), len(ordered))
    found = bisect_left(counts, True, key=lambda count: good(ordered[:count]))
    return ordered[: len(must) + found]


def _octave(cost: float) -> int:
    """Of costs within a factor of two the layer that runs first comes first: what is less apart, chance decides, and
    how a processor adds up floats."""
    return math.frexp(cost)[1] if cost > 0 else -9999
