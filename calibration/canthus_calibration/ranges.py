"""From the values that an activation takes in each lighting to the one range that it is held in."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

BINS = 2048
DIGITS = 6
"""Of the ends of a range, in base 2: they are up to 3 % wider than what was seen."""
LEVELS = 256
PERCENTILE = 99.99


@dataclass
class Histogram:
    """How often an activation's values fell into BINS equal bins from `low` to `high`, by lighting.

    Attributes:
        counts: int64 (lightings, BINS).
    """

    low: float
    high: float
    counts: NDArray[np.int64]

    @classmethod
    def over(cls, low: float, high: float, lightings: int) -> Histogram:
        """An empty one."""
        return cls(low, high, np.zeros((lightings, BINS), np.int64))

    def add(self, lighting: int, values: NDArray[np.float32]) -> None:
        """Count `values`, which lie within low and high."""
        if self.high > self.low:
            scale = np.float32(BINS / (self.high - self.low))
            places = ((values.ravel() - np.float32(self.low)) * scale).astype(np.int32)
            self.counts[lighting] += np.bincount(places.clip(0, BINS - 1), minlength=BINS)

    @classmethod
    def around(cls, low: float, high: float, lightings: int) -> Histogram:
        """An empty one whose own bounds, outside of `low` and `high`, are numbers of few digits.

        Two processors add up floats in another order, so the values that they see differ in the last digits. Bounds
        that don't show it give both the same bins, and in the end the same bundle.
        """
        if high <= low:
            return cls.over(low, high, lightings)
        step = 2.0 ** (math.floor(math.log2(max(abs(low), abs(high)))) + 1 - DIGITS)
        return cls.over(math.floor(low / step) * step, math.ceil(high / step) * step, lightings)

    @property
    def edges(self) -> NDArray[np.float64]:
        """(BINS + 1,)."""
        return np.linspace(self.low, self.high, BINS + 1)

    @property
    def centres(self) -> NDArray[np.float64]:
        """(BINS,)."""
        return (self.edges[:-1] + self.edges[1:]) / 2


Range = tuple[float, float]


def min_max(counts: NDArray[np.int64], edges: NDArray[np.float64]) -> Range:
    """From the smallest value to the largest."""
    seen = np.flatnonzero(counts)
    return float(edges[seen[0]]), float(edges[seen[-1] + 1])


def percentile(counts: NDArray[np.int64], edges: NDArray[np.float64]) -> Range:
    """All but the outermost values: PERCENTILE of them, the rest shared by both ends (by one, if it alone has any)."""
    low, high = min_max(counts, edges)
    spare = (1 - PERCENTILE / 100) * counts.sum() / (2 if low < 0 < high else 1)
    below, above = np.cumsum(counts), np.cumsum(counts[::-1])
    if high > 0:
        high = float(edges[BINS - np.searchsorted(above, spare, side="right")])
    if low < 0:
        low = float(edges[np.searchsorted(below, spare, side="right")])
    return low, high


def entropy(counts: NDArray[np.int64], edges: NDArray[np.float64]) -> Range:
    """The range whose quantised distribution is nearest to the real one, by their relative entropy.

    After Migacz, "8-bit inference with TensorRT" (GTC 2017), for a range that need not be symmetric: both ends are
    drawn in together, and what is cut off counts as the outermost bin. Zeros, which are exact at any range and most of
    what ReLU leaves, don't count.
    """
    low, high = min_max(counts, edges)
    begin, end = (int(np.searchsorted(edges, bound)) for bound in (low, high))
    total = counts[begin:end].astype(np.float64)
    at_zero = min(max(int(np.searchsorted(edges, 0.0)) - begin, 0), len(total))  # bins below zero
    if at_zero < len(total):
        total[at_zero] = 0
    best, chosen = np.inf, (0, len(total))
    for part in np.linspace(1, 0.1, 91):
        first, last = round(at_zero * (1 - part)), at_zero + round((len(total) - at_zero) * part)
        if last - first < LEVELS:
            break
        divergence = _relative_entropy(total, first, last)
        if divergence < best:
            best, chosen = divergence, (first, last)
    return float(edges[begin + chosen[0]]), float(edges[begin + chosen[1]])


def _relative_entropy(total: NDArray[np.float64], first: int, last: int) -> float:
    """Of `total`, clipped to first..last, from what LEVELS levels make of the part inside."""
    inside = total[first:last]
    clipped = inside.copy()
    clipped[0] += total[:first].sum()
    clipped[-1] += total[last:].sum()
    level = np.arange(len(inside)) * LEVELS // len(inside)
    filled = inside > 0
    mass, bins = np.bincount(level, inside, LEVELS), np.bincount(level, filled, LEVELS)
    quantised = np.where(filled, (mass / np.maximum(bins, 1))[level], 0)
    p, q = clipped / clipped.sum(), quantised / max(quantised.sum(), 1)
    q = np.maximum(q, 1e-9)
    some = p > 0
    return float((p[some] * np.log(p[some] / q[some])).sum())


ESTIMATORS: dict[str, Callable[[NDArray[np.int64], NDArray[np.float64]], Range]] = {
    "minmax": min_max,
    "percentile": percentile,
    "entropy": entropy,
}
"""Each takes the counts of one lighting, (BINS,), and the bins' edges."""


@dataclass(frozen=True)
class Reconciled:
    """The range of one activation.

    Attributes:
        low, high: what it is held in, 0 among it.
        by_lighting: what each lighting alone would have taken; None where nothing or only one value was seen.
        error: by lighting, the power of the rounding and clipping error, of that of the values.
    """

    low: float
    high: float
    by_lighting: tuple[Range | None, ...]
    error: tuple[float, ...]


def reconcile(histogram: Histogram, estimator: str, *, symmetric: bool = False) -> Reconciled:
    """One range for all lightings, such that the lighting that fares worst fares best.

    Each lighting proposes a range. Among all pairs of a proposed low and a proposed high, that one is taken whose
    largest relative error over the lightings is smallest: a wide range is coarse for the dark, whose activations
    are small, a narrow one clips glare; an average would give up whichever is rarer.
    """
    edges, estimate = histogram.edges, ESTIMATORS[estimator]
    own = [
        None if len(np.flatnonzero(counts)) < 2 else _coarse(_with_zero(estimate(counts, edges)))
        for counts in histogram.counts
    ]
    proposed = [bounds for bounds in own if bounds]
    if not proposed:
        low, high = _with_zero((histogram.low, histogram.high))
        return Reconciled(low, high, tuple(own), (0.0,) * len(own))
    candidates = product({low for low, _ in proposed}, {high for _, high in proposed})
    errors = {bounds: _errors(histogram, bounds, symmetric) for bounds in candidates}
    low, high = min(sorted(errors), key=lambda bounds: max(errors[bounds]))
    return Reconciled(low, high, tuple(own), errors[low, high])


def _coarse(bounds: Range) -> Range:
    """Outwards to the next number of DIGITS binary digits: which bin an extreme falls into is up to the processor."""
    low, high = bounds
    return -_rounded_up(-low), _rounded_up(high)


def _rounded_up(bound: float) -> float:
    if bound <= 0:
        return bound
    step = 2.0 ** (math.floor(math.log2(bound)) + 1 - DIGITS)
    return math.ceil(bound / step) * step


def _with_zero(bounds: Range) -> Range:
    return min(bounds[0], 0.0), max(bounds[1], 0.0)


def _errors(histogram: Histogram, bounds: Range, symmetric: bool) -> tuple[float, ...]:
    """By lighting, the squared error of 8 bits over `bounds`, of the values' own squares."""
    low, high = bounds
    if symmetric:
        high = max(-low, high)
        low = -high
    step = max(high - low, 1e-30) / (LEVELS - 1)
    values = histogram.centres
    width = (histogram.high - histogram.low) / BINS
    held = np.clip(np.rint(values / step), np.rint(low / step), np.rint(high / step)) * step
    # Within a bin wider than a step, values are rounded as uniform ones are.
    inside = (values >= low) & (values <= high) & (width >= step)
    squared = np.where(inside, step**2 / 12, (values - held) ** 2)
    power = histogram.counts @ values**2
    return tuple((histogram.counts @ squared / np.maximum(power, 1e-30)).tolist())
