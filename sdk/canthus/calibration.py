"""What a bundle's manifest tells of its INT8: from which clips its ranges come, and what it costs in each lighting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

GOAL = 99.0
"""What bundles were made for that don't say what they were made for."""


@dataclass(frozen=True)
class Cost:
    """What INT8 costs in one lighting, on volunteers that calibration never saw.

    Attributes:
        clips: how many it was measured on.
        agreement: percent of them for which float32 and INT8 answer the same.
        agreement_low, agreement_high: between these it lies, as far as these clips tell: a 95 % interval that knows
            that clips of one volunteer resemble one another. None if nothing follows, or not measured, as in older
            bundles.
        divergence, worst_divergence: Jensen-Shannon divergence of the probabilities in bits, 0 to 1: mean, largest.
        uar, uar_int8: unweighted average recall of both, percent.
        uar_loss_low: points of UAR that INT8 loses at least, the lower end of a 95 % interval over volunteers; None as
            above.
        war, war_int8: weighted average recall (accuracy) of both, percent.
        sequences, volunteers: how many the clips are of; None in older bundles.
    """

    clips: int
    agreement: float
    divergence: float
    worst_divergence: float
    uar: float
    uar_int8: float
    war: float
    war_int8: float
    agreement_low: float | None = None
    agreement_high: float | None = None
    uar_loss_low: float | None = None
    sequences: int | None = None
    volunteers: int | None = None

    @property
    def agreement_interval(self) -> str:
        """From where to where agreement lies, in words, such as "99.1 to 99.8"; empty where nothing follows."""
        if self.agreement_low is None or self.agreement_high is None:
            return ""
        return f"{self.agreement_low:.1f} to {self.agreement_high:.1f}"

    @property
    def uar_loss(self) -> float:
        """Points; below zero if INT8 is right more often."""
        return self.uar - self.uar_int8


@dataclass(frozen=True)
class Calibration:
    """How a bundle's INT8 came to be.

    Attributes:
        ranges: the estimator of activation ranges: minmax, percentile or entropy.
        clips: how many ranges were taken from, by lighting; all of the training subset.
        clips_sha256: over those clips' names and images.
        layers: how many layers run in INT8.
        float_layers: those that don't, and why.
        warnings: what was odd about the clips.
        costs: by lighting, on the testing subset.
        goal: percent of the answers that were to be as in float32, in every lighting.
        features: by encoder, how far its features are off there, as a share of their size, in the lighting where they
            are most; empty if not measured, as in older bundles.
    """

    ranges: str
    clips: Mapping[str, int]
    clips_sha256: str
    layers: int
    float_layers: Mapping[str, str]
    warnings: tuple[str, ...]
    costs: Mapping[str, Cost]
    goal: float = GOAL
    features: Mapping[str, float] = field(default_factory=dict)
