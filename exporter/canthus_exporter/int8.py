"""The exported network in INT8, and what its answers may be off by elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from canthus.engine import Engine
from canthus.errors import ExportError
from canthus.operators import library_path
from canthus.verify import FEATURES_TOLERANCE, TOLERANCE, answered, furthest, replay
from canthus_calibration.calibrate import AGREEMENT, Calibrated, calibrate
from canthus_exporter.exact_runtime import exact_runtime
from canthus_exporter.exported import Exported
from canthus_model.steps import Steps

_MOST_MOVED = 0.25
"""By which an INT8 answer's lead may move, however far apart the data set's answers are: 6 points of a probability."""
_FAITHFUL = 4
"""Times the difference between faithful ways to run an INT8 network that must be allowed, or none would be right."""


@dataclass(frozen=True)
class Int8:
    """How to make an INT8 bundle.

    Attributes:
        target: one of `canthus_calibration.targets.TARGETS`.
        ranges: one of `canthus_calibration.ranges.ESTIMATORS`.
        clips: to take ranges from, a quarter from each lighting.
        agreement: percent of the answers that are to be as in float32, in every lighting.
        page: file for a page about it (HTML), if any.
    """

    target: str = "x86"
    ranges: str = "entropy"
    clips: int = 400
    agreement: float = AGREEMENT
    page: Path | None = None

    def check(self) -> None:
        """Raise ExportError if there is no folder for the page."""
        if self.page and not self.page.parent.is_dir():
            raise ExportError(f"{self.page}: there is no folder {self.page.parent}; make it first")


def to_int8(exported: Exported, int8: Int8, see: Path, journal: Path, steps: Steps) -> tuple[Exported, Calibrated]:
    """Calibrate on the data set in `see`, and quantise, and measure on it what that costs and whether both modalities
    are used; the golden vectors are its own, which no processor's arithmetic has a part in.

    Raises:
        DataSetError, CalibrationError: as `calibrate`.
    """
    calibrated = calibrate(
        exported.graphs,
        see,
        target=int8.target,
        estimator=int8.ranges,
        clips=int8.clips,
        agreement=int8.agreement,
        journal=journal,
        steps=steps,
    )
    manifest = replace(
        exported.manifest,
        precision="int8",
        target=int8.target,
        calibration=calibrated.record,
        modalities=calibrated.modalities,
    )
    quantised = replace(exported, manifest=manifest, graphs=calibrated.graphs)
    own = answered(Engine(manifest, exact_runtime(calibrated.graphs)), exported.golden)
    faithful = [replay(engine, own) for engine in _faithful(quantised)]
    spread = max(found.answers for found in faithful)
    features = max(moved for found in faithful for moved in found.features.values())
    if _FAITHFUL * spread > calibrated.closest_lead:
        steps.warn(
            f"the network hears rounding: ways to compute it in INT8 that are all faithful move an answer's lead by "
            f"{spread:.1e}, and {calibrated.closest_lead:.1e} changes one answer in a hundred"
        )
    parity = {
        **manifest.parity,
        "int8": furthest(own.logits, exported.golden),
        "int8 as run here": spread,
        "tolerance": max(TOLERANCE, min(calibrated.closest_lead, _MOST_MOVED), _FAITHFUL * spread),
        "tolerance of features": max(FEATURES_TOLERANCE, _FAITHFUL * features),
    }
    return replace(quantised, manifest=replace(manifest, parity=parity), golden=own), calibrated


def _faithful(quantised: Exported) -> list[Engine]:
    return [quantised.engine(library_path()), quantised.engine(None, as_written=True)]
