"""Which experts are asked, and for what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from canthus_model.evaluate.figures import EMOTIONS
from canthus_model.see.names import LIGHTINGS, SequenceName

MOST = 90  # percent of all choices


@dataclass(frozen=True)
class Experts:
    """At how many clips each expert is among the two that are asked, in percent.

    Attributes:
        overall: (8,).
        by: (8,) by emotion, then by lighting; of those that there are clips of.
        answers: how many clips were answered, over all runs.
    """

    overall: NDArray[np.float64]
    by: dict[str, NDArray[np.float64]]
    answers: int

    @property
    def never(self) -> list[int]:
        """Which ones are asked at no clip at all."""
        return np.flatnonzero(self.overall == 0).tolist()

    @property
    def making_most(self) -> int:
        """How many of them, the most asked first, make 90 % of all choices."""
        shares = np.sort(self.overall)[::-1].cumsum() / self.overall.sum()
        return int(np.argmax(shares >= MOST / 100 - 1e-9)) + 1

    def as_dict(self) -> dict[str, Any]:
        """All numbers, ready for JSON."""
        return {
            "unit": "percent of clips at which an expert is among the two that are asked",
            "all": self.overall.tolist(),
            "by": {name: shares.tolist() for name, shares in self.by.items()},
            "answers": self.answers,
            "never_asked": self.never,
            "making_90_percent_of_choices": self.making_most,
        }


def count_experts(asked: NDArray[np.bool_], names: Sequence[SequenceName]) -> Experts:
    """From which ones were asked, (R, N, 8), for each run and sequence."""
    by = {}
    for kind, values in (("emotion", EMOTIONS), ("lighting", LIGHTINGS)):
        for value in values:
            alike = np.array([getattr(name, kind) == value for name in names])
            if alike.any():
                by[value] = 100 * asked[:, alike].mean((0, 1))
    return Experts(100 * asked.mean((0, 1)), by, asked.shape[0] * asked.shape[1])
