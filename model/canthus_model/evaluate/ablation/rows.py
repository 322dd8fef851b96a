"""What is measured with one thing taken away, and all of that together."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from canthus_model.evaluate.ablation.experts import Experts
from canthus_model.evaluate.ablation.panel import CONFIDENCE, RESAMPLED, Drawn, Estimate, Panel, estimate
from canthus_model.see.names import LIGHTINGS


@dataclass(frozen=True)
class Taken:
    """What was taken away.

    Attributes:
        row: what a table calls that.
        judged: what is judged by it, if anything is: `the frames`, say.
        plural: whether that is one.
        of_network: whether it is a part of the network, and not of what that is shown.
    """

    row: str
    judged: str = ""
    plural: bool = False
    of_network: bool = False


@dataclass(frozen=True)
class Row:
    """How a network fares then. All figures are in percent.

    Attributes:
        taken: what was taken away.
        uar: over all sequences.
        lighting_uar: under each of LIGHTINGS.
        same: at how many clips it says what it says to everything.
        uar_drawn, lighting_drawn, changed_drawn: UAR, over all and under each lighting, and 100 - `same`, for each lot
            of volunteers.
    """

    taken: Taken
    uar: Estimate
    lighting_uar: dict[str, Estimate]
    same: Estimate
    uar_drawn: Drawn
    lighting_drawn: dict[str, Drawn]
    changed_drawn: Drawn

    @property
    def name(self) -> str:
        return self.taken.row

    def as_dict(self) -> dict[str, Any]:
        """All numbers, ready for JSON."""
        lightings = {name: asdict(uar) for name, uar in self.lighting_uar.items()}
        return {"uar": asdict(self.uar), "lighting_uar": lightings, "same_label": asdict(self.same)}


def measure_row(taken: Taken, panel: Panel, right: NDArray[np.bool_], same: NDArray[np.bool_]) -> Row:
    """From which answers (R, N) are right, and which are what the network says to everything."""
    uar, changed = panel.uar(right), panel.share(~same)
    lightings = {lighting: panel.uar(right, lighting) for lighting in LIGHTINGS}
    return Row(
        taken,
        estimate(uar),
        {lighting: estimate(drawn) for lighting, drawn in lightings.items()},
        estimate(100 - changed),
        uar,
        lightings,
        changed,
    )


@dataclass(frozen=True)
class Finding:
    """What follows about one thing.

    Attributes:
        about: what it is: `the frames`, say.
        verdict: `used`, `ignored`, `undecided`, or `unknown` where nothing can follow.
        sentence: that, in words, with the figures that it rests on.
    """

    about: str
    verdict: str
    sentence: str


@dataclass(frozen=True)
class Ablation:
    """What an ablation found.

    Attributes:
        runs, sequences, volunteers: how many it rests on.
        chance: the UAR of answers that know nothing, in percent.
        rows: by their names, everything first.
        experts: which ones are asked, with nothing taken away.
        findings: what follows.
    """

    runs: int
    sequences: int
    volunteers: int
    chance: float
    rows: dict[str, Row]
    experts: Experts
    findings: tuple[Finding, ...] = ()

    def telling(self, findings: tuple[Finding, ...]) -> Ablation:
        """The same, with what follows."""
        return replace(self, findings=findings)

    def as_dict(self) -> dict[str, Any]:
        """All numbers and findings, ready for JSON."""
        return {
            "runs": self.runs,
            "sequences": self.sequences,
            "volunteers": self.volunteers,
            "unit": f"percent; low to high is the {CONFIDENCE} % interval of {RESAMPLED} drawings of the volunteers",
            "chance_uar": self.chance,
            "shown": {name: row.as_dict() for name, row in self.rows.items() if not row.taken.of_network},
            "network": {name: row.as_dict() for name, row in self.rows.items() if row.taken.of_network},
            "experts": self.experts.as_dict(),
            "findings": [asdict(finding) for finding in self.findings],
        }
