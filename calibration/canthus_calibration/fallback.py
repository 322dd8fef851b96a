"""Which layers stay in float: as few as hold the goal, those first that gain the most for the work that they make."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from canthus.calibration import Cost
from canthus_calibration.layers import Layer, with_dragged


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
    about: float,
    likely: Callable[[list[Layer]], bool],
    good: Callable[[list[Layer]], bool],
) -> list[Layer]:
    """The layers to keep in float: behind those that `must`, the costliest in the worst lighting for the work in float.

    Their number is guessed from what the layers cost. From there it goes in doubling steps past where `likely` begins
    to hold, and then in between: some six trials, if the guess is good. Then it grows by a quarter until `good`
    holds. With all in float it ends.

    Args:
        costs: by layer's name and lighting.
        about: what the layers in INT8 may cost together in the worst lighting, if costs add up.
        likely: a quick trial: whether the goal may hold with these layers in float.
        good: a thorough one: whether it does.
    """
    others = [layer for layer in layers if layer not in must]
    gain = {layer.name: worst(costs[layer.name])[1] / _work(layers, layer) for layer in others}
    ordered = [*must, *sorted(others, key=lambda layer: -_octave(gain[layer.name]))]
    left = list(itertools.accumulate(worst(costs[layer.name])[1] for layer in reversed(ordered)))
    guess = sum(cost > about for cost in left)
    count = _fewest(len(must), len(ordered), guess, lambda count: likely(ordered[:count]))
    while count < len(ordered) and not good(ordered[:count]):
        count = min(count + max(count // 4, 1), len(ordered))
    return ordered[:count]


def _octave(gain: float) -> int:
    """Of gains within a factor of two the layer that runs first comes first: what is less apart, chance decides, and
    how a processor adds up floats."""
    return math.frexp(gain)[1] if gain > 0 else -9999


def _work(layers: Sequence[Layer], layer: Layer) -> int:
    """To keep a layer in float, with all that this drags along."""
    return max(sum(one.work for one in with_dragged(layers, [layer])), 1)


def _fewest(least: int, most: int, guess: int, holds: Callable[[int], bool]) -> int:
    """The smallest number that holds, if those above it do; `most` at last, tried or not."""
    step, fine = 1, min(max(guess, least), most)
    if fine == most or holds(fine):
        bad = least - 1
        while (trial := fine - step) >= least:
            if not holds(trial):
                bad = trial
                break
            fine, step = trial, 2 * step
    else:
        bad = fine
        while (fine := min(bad + step, most)) < most and not holds(fine):
            bad, step = fine, 2 * step
    while fine - bad > 1:
        middle = (bad + fine) // 2
        bad, fine = (bad, middle) if holds(middle) else (middle, fine)
    return fine
