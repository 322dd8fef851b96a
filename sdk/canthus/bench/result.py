"""What a measurement found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from canthus.bench.histogram import Histogram
from canthus.bench.tally import Slice
from canthus.bench.watch import MEMORY, Course
from canthus.live.ledger import Ledger

FORMAT = "canthus bench"
VERSION = 1
"""Of the JSON that is written, and the newest that is read as a baseline."""

PERCENTILES = (50.0, 90.0, 99.0, 99.9)


class Check(NamedTuple):
    """Something that must hold, whether it does, and in a sentence what was found."""

    name: str
    passed: bool
    found: str


class Stage(NamedTuple):
    """What one stage took, in microseconds."""

    median_us: float
    p99_us: float | None


@dataclass(frozen=True)
class Result:
    """All figures of one run; times in microseconds where the name doesn't say otherwise.

    Attributes:
        settings: the load, and the machine: what must be alike to compare two results.
        versions: of the bundle and of what ran it.
        figures: by name, what two results are compared by. None: not to be had here, or of too few frames.
        stages: by name, in the order of time.
        ledgers: what became of `frames`, `packets` of events, and single `events`, all since the start.
        latencies: (from, to, how many) of each bucket of the histogram.
        slices: how latency went on.
        courses: by name, what the platform told.
        checks: what must hold.
    """

    settings: dict[str, Any]
    versions: dict[str, str]
    figures: dict[str, float | None]
    stages: dict[str, Stage]
    ledgers: dict[str, Ledger]
    latencies: list[tuple[int, int, int]]
    slices: list[Slice]
    courses: dict[str, Course]
    checks: list[Check]

    @property
    def passed(self) -> bool:
        """Whether every check did."""
        return all(check.passed for check in self.checks)

    @property
    def p99_us(self) -> float:
        """The 99th percentile of the latency; infinite where there were too few frames to tell it."""
        found = self.figures[percentile_name(99)]
        return float("inf") if found is None else found

    def to_json(self) -> dict[str, Any]:
        """The document that a later run may take as its baseline."""
        fields = asdict(self)
        for name in ("stages", "courses"):
            fields[name] = {key: value._asdict() for key, value in getattr(self, name).items()}
        for name in ("slices", "checks"):
            fields[name] = [value._asdict() for value in getattr(self, name)]
        return {"format": FORMAT, "version": VERSION, **fields}


def percentile_name(percent: float) -> str:
    """What a percentile is called among the figures."""
    return f"latency_p{percent:g}_us"


def latency_figures(latencies: Histogram) -> dict[str, float | None]:
    """Percentiles, the worst, and jitter in two ways."""
    p50, p99 = latencies.percentile(50), latencies.percentile(99)
    return {
        **{percentile_name(percent): latencies.percentile(percent) for percent in PERCENTILES},
        "latency_max_us": float(latencies.largest) if latencies.count else None,
        "jitter_deviation_us": latencies.deviation,
        "jitter_p99_p50_us": None if p50 is None or p99 is None else p99 - p50,
    }


def memory_figures(courses: dict[str, Course], growth: float | None) -> dict[str, float | None]:
    """The most there was, and by how much it grew after the first minute."""
    course = courses.get(MEMORY)
    return {"memory_most_bytes": course.high if course else None, "memory_growth_bytes": growth}
