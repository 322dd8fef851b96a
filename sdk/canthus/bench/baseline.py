"""A result against an earlier one: did it get worse?"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

from canthus.bench.result import FORMAT, PERCENTILES, VERSION, percentile_name
from canthus.errors import BenchError

_LARGEST_BYTES = 10_000_000
_DURATIONS = 2.0  # by which factor two runs may differ in length
_FEW_MISSED = 0.001  # of the frames: more must be missed before it counts


class Figure(NamedTuple):
    """One that is compared: what it is called, and its unit of so many of those that it is kept in."""

    title: str
    name: str
    unit: str
    scale: float
    more_is_better: bool = False


FIGURES = (
    *(Figure(f"latency p{percent:g}", percentile_name(percent), "ms", 1000) for percent in PERCENTILES),
    Figure("frames missed", "missed_share", "%", 0.01),
    Figure("answers per second", "answers_per_second", "", 1, more_is_better=True),
    Figure("CPU time per frame", "cpu_per_frame_us", "ms", 1000),
    Figure("memory, most", "memory_most_bytes", "MB", 1e6),
)


class Baseline(NamedTuple):
    """What is needed of an earlier result."""

    settings: dict[str, Any]
    versions: dict[str, str]
    figures: dict[str, float | None]


class Row(NamedTuple):
    """A figure before and now; `change` is a share of what it was, positive for more."""

    figure: Figure
    before: float | None
    now: float | None
    change: float | None
    worse: bool


def read_baseline(path: Path | str) -> Baseline:
    """What `canthus bench --json` wrote.

    Raises:
        BenchError: there is no such file, or it is another's.
    """
    path = Path(path)
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise ValueError("it is too large")
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BenchError(f"{path}: can't be read ({error.strerror}); make one by canthus bench --json") from error
    except (ValueError, RecursionError) as error:
        raise BenchError(f"{path}: no JSON ({error}); make one by canthus bench --json") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise BenchError(f"{path}: not written by canthus bench --json")
    if document.get("version") != VERSION:
        found = document.get("version")
        raise BenchError(f"{path}: of version {found!r}, and this canthus reads {VERSION}; measure it again")
    parts = {name: document.get(name) for name in Baseline._fields}
    damaged = [name for name, part in parts.items() if not isinstance(part, dict)]
    if damaged or not all(map(_is_figure, document["figures"].values())):
        raise BenchError(f"{path}: is damaged: its {(*damaged, 'figures')[0]} make no sense; measure it again")
    return Baseline(**parts)  # type: ignore[arg-type]


def check_alike(settings: dict[str, Any], baseline: Baseline) -> None:
    """Only like is compared with like.

    Raises:
        BenchError: the load or the machine was another.
    """
    differences = []
    for name, now in settings.items():
        before = baseline.settings.get(name)
        alike = before == now
        if name == "seconds" and isinstance(before, int | float):
            alike = now / _DURATIONS <= before <= now * _DURATIONS
        if not alike:
            differences.append(f"{name.replace('_', ' ')} {before!r} there, {now!r} here")
    if differences:
        raise BenchError(f"the baseline is of another load or machine: {'; '.join(differences)}; measure a new one")


def compare(figures: dict[str, float | None], baseline: Baseline, most: float) -> list[Row]:
    """Every figure that either has; one is worse if it changed for the worse by more than a share of `most`."""
    rows = []
    for figure in FIGURES:
        before, now = baseline.figures.get(figure.name), figures.get(figure.name)
        if before is None and now is None:
            continue
        if before is None or now is None:  # of too few frames in one of both
            rows.append(Row(figure, before, now, None, False))
            continue
        change = (now - before) / before if before else math.inf if now else 0.0
        worse = -change > most if figure.more_is_better else change > most
        if figure.name == "missed_share" and now - before <= _FEW_MISSED:
            worse = False
        rows.append(Row(figure, before, now, change, worse))
    return rows


def changed_versions(versions: dict[str, str], baseline: Baseline) -> list[str]:
    """What isn't as it was, and may be why figures differ."""
    names = {**baseline.versions, **versions}
    both = ((name, baseline.versions.get(name, "none"), versions.get(name, "none")) for name in names)
    return [f"{name} {before} before, {now} now" for name, before, now in both if before != now]


def _is_figure(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value))
