"""Results of an evaluation, in the JSON form that the data set's authors publish theirs in."""

from __future__ import annotations

import json
import math
import reprlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from canthus.errors import DataSetError

Scores = dict[str, float]
"""A model's probability for each label, the largest first; published results may hold the largest only."""

Run = dict[str, Scores]
"""What a model said of one clip of each sequence, by the sequence's name."""

FIGURES = "figures.json"  # what an evaluation writes beside its runs
_LARGEST = 64 * 2**20  # bytes of one file; a published run has 84 kB


def ranked(scores: Mapping[str, float]) -> Scores:
    """`scores` with the largest first; of equal ones, the first stays first."""
    return dict(sorted(scores.items(), key=lambda item: -item[1]))


def encode_run(run: Run) -> str:
    """`run` as published: {"results": {NAME: [{"label": ..., "score": ...}, ...]}}."""
    entries = {
        name: [{"label": label, "score": score} for label, score in scores.items()] for name, scores in run.items()
    }
    return json.dumps({"results": entries})


def read_results(folder: Path | str) -> list[Run]:
    """Every run in `folder`, in the order of the file names.

    A run is a file *.json that holds 'results'; other JSON objects are passed over, and named on stderr.

    Raises:
        DataSetError: no such folder, no run in it, a file that isn't JSON, results of another form, scores
            that aren't finite numbers, runs that cover different sequences.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataSetError(f"{folder}: no such folder; give one that holds results, a JSON file for each run")
    runs: dict[str, Run] = {}
    for path in sorted(folder.glob("*.json")):
        if path.name == FIGURES or path.name.startswith(".") or not path.is_file():  # ._test_1.json is a Mac's
            continue
        document = _read_json(path)
        if isinstance(document, dict) and "results" in document:
            runs[str(path)] = _run(document["results"], path)
        else:
            print(f"{path}: passed over; it holds no 'results'", file=sys.stderr)
    if not runs:
        raise DataSetError(
            f"{folder}: holds no results; a run is a JSON file "
            '{"results": {NAME: [{"label": "fear", "score": 0.9}, ...]}}'
        )
    check_same_sequences(runs)
    return list(runs.values())


def check_same_sequences(runs: Mapping[str, Run]) -> None:
    """Raise DataSetError unless all runs, called by their keys, cover the same sequences."""
    (first, expected), *others = runs.items()
    for name, run in others:
        if run.keys() != expected.keys():
            odd = min(run.keys() ^ expected.keys())
            raise DataSetError(
                f"{name}: covers {len(run)} sequences and {first} {len(expected)}, not the same ones: only one of "
                f"them has {odd[:100]!r}; put only runs of one evaluation together"
            )


def _read_json(path: Path) -> Any:
    try:
        if path.stat().st_size > _LARGEST:
            raise DataSetError(f"{path}: larger than {_LARGEST >> 20} MiB, which no run is; move it away")
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        reason = str(error) or type(error).__name__
        raise DataSetError(f"{path}: not readable as JSON ({reason}); copy it again or move it away") from error


def _run(results: Any, path: Path) -> Run:
    if not isinstance(results, dict) or not results:
        raise DataSetError(f"{path}: its 'results' aren't entries by the name of a sequence, or there are none")
    return {name: _scores(entries, name, path) for name, entries in results.items()}


def _scores(entries: Any, name: str, path: Path) -> Scores:
    scores: Scores = {}
    for entry in entries if isinstance(entries, list) else []:
        label, score = (entry.get("label"), entry.get("score")) if isinstance(entry, dict) else (None, None)
        if not isinstance(label, str) or label in scores or not _is_finite(score):
            raise DataSetError(
                f"{path}: {name[:100]!r} has the entry {reprlib.repr(entry)}; each must have a label, "
                "another one every time, and a score that is a finite number"
            )
        scores[label] = float(score)
    if not scores:
        raise DataSetError(f"{path}: {name[:100]!r} has no list of labels and scores")
    return ranked(scores)


def _is_finite(score: Any) -> bool:
    try:
        return type(score) in (int, float) and math.isfinite(score)
    except OverflowError:  # an integer beyond all floats
        return False
