"""What a recording shows and when, as it stands in a file beside it."""

from __future__ import annotations

import json
from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from canthus.errors import EvaluationError
from canthus_model.see.names import LIGHTINGS

RECORDING, TRUTH = ".aedat4", ".json"
_LARGEST = 16 << 20  # bytes of a truth: hours have less


class Shown(NamedTuple):
    """An expression that is shown, from its onset until the next one's, in microseconds of the sensor's clock."""

    label: str
    onset_us: int
    until_us: int


class Span(NamedTuple):
    """From when until when, in microseconds of the sensor's clock."""

    from_us: int
    until_us: int

    def holds(self, time_us: int, before_us: int = 0, after_us: int = 0) -> bool:
        """Whether a time lies in it, or so long before or after it."""
        return self.from_us - before_us <= time_us < self.until_us + after_us


@dataclass(frozen=True)
class Truth:
    """What `canthus synthesize --truth` tells of a recording; each list is in the order of time."""

    expressions: tuple[Shown, ...]
    blinks: tuple[Span, ...]
    no_eye: tuple[Span, ...]
    lightings: tuple[tuple[int, str], ...]  # from when on it is which

    def at(self, time_us: int) -> Shown:
        """What is shown at a time; before the first expression, that one."""
        return self.expressions[max(bisect_right(self._onsets, time_us) - 1, 0)]

    def lighting(self, time_us: int) -> str:
        """In which lighting."""
        return [name for begin, name in self.lightings if begin <= time_us or begin == self.lightings[0][0]][-1]

    @property
    def _onsets(self) -> list[int]:
        return [shown.onset_us for shown in self.expressions]


def find_recordings(folder: Path) -> list[tuple[Path, Truth]]:
    """Every recording of a folder, with its truth.

    Raises:
        EvaluationError: no such folder, no recording in it, or one without a truth that can be read.
    """
    if not folder.is_dir():
        raise EvaluationError(
            f"{folder}: no such folder; give one of recordings (.aedat4), each with its truth (.json)"
        )
    recordings = sorted(folder.glob(f"[!.]*{RECORDING}"))
    if not recordings:
        raise EvaluationError(f"{folder}: no recording (.aedat4) in it; canthus synthesize makes some, with --truth")
    untold = [path.name for path in recordings if not path.with_suffix(TRUTH).is_file()]
    if untold:
        raise EvaluationError(
            f"{folder / untold[0]}: nothing tells what it shows: {Path(untold[0]).with_suffix(TRUTH)} isn't there (of "
            f"{len(untold)} of {len(recordings)} recordings); canthus synthesize writes it with --truth"
        )
    return [(path, read_truth(path.with_suffix(TRUTH))) for path in recordings]


def read_truth(path: Path) -> Truth:
    """
    Raises:
        EvaluationError: it isn't what `canthus synthesize --truth` writes.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise ValueError("too large")
        document = json.loads(path.read_text(encoding="utf-8"))
        truth = Truth(
            expressions=tuple(
                Shown(str(one["label"]), _time(one, "onset_us"), _time(one, "until_us"))
                for one in document["expressions"]
            ),
            blinks=_spans(document["blinks"]),
            no_eye=_spans(document["no_eye"]),
            lightings=tuple((_time(one, "from_us"), str(one["lighting"])) for one in document["lighting"]),
        )
        onsets = [shown.onset_us for shown in truth.expressions]
        if not onsets or onsets != sorted(set(onsets)) or not truth.lightings:
            raise ValueError("no expressions or lightings, or not in the order of time")
        if unknown := {name for _, name in truth.lightings} - set(LIGHTINGS):
            raise ValueError(f"no lighting is called {min(unknown)[:40]}")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise EvaluationError(
            f"{path}: not what canthus synthesize --truth writes ({type(error).__name__}: {error}); make it again"
        ) from error
    return truth


def _spans(entries: Any) -> tuple[Span, ...]:
    return tuple(Span(_time(one, "from_us"), _time(one, "until_us")) for one in entries)


def _time(entry: Any, name: str) -> int:
    value = entry[name]
    if type(value) is not int:
        raise ValueError(f"{name} is no whole number")
    return value
