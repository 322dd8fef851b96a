"""SEE's annotation file: the labels, in the order of a network's outputs, and what each sequence shows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from canthus.errors import DataSetError
from canthus_model.config import LABELS
from canthus_model.see.names import SequenceName

TRAINING, TESTING = "training", "testing"
SHORTEST = 5  # frames: fewer leave no image for some clips


@dataclass(frozen=True)
class Entry:
    """One annotated sequence."""

    name: str
    parts: SequenceName  # of the name
    subset: str  # TRAINING or TESTING
    label: str
    segment: tuple[int, int]  # first frame, and one past the last


@dataclass(frozen=True)
class Annotation:
    """`labels` in the order of a network's outputs; `entries` in the file's order."""

    labels: tuple[str, ...]
    entries: tuple[Entry, ...]


def read_annotation(path: Path) -> Annotation:
    """Read `SEE/emotion.json`.

    Raises:
        DataSetError: no such file, not JSON, not seven labels; or entries that can't be used: each kind of
            problem is counted and its first sequences are named.
    """
    document = _read_json(path)
    labels = _labels(document, path)
    database = document.get("database")
    if not isinstance(database, dict):
        raise DataSetError(f"{path}: has no 'database' of sequences; SEE's emotion.json has one")
    entries, problems = [], Problems()
    for name, record in database.items():
        try:
            entries.append(_entry(name, record, labels))
        except _UnusableError as error:
            problems.add(error.kind, error.detail)
        except DataSetError as error:
            problems.add("names that don't parse", str(error))
    problems.raise_any(path, "correct it, or copy it again")
    return Annotation(labels, tuple(entries))


class Problems:
    """Problems of many sequences, counted by kind, so that one error can tell them all."""

    _NAMED_AT_MOST = 3

    def __init__(self) -> None:
        self._details: dict[str, list[str]] = {}

    def add(self, kind: str, detail: str) -> None:
        self._details.setdefault(kind, []).append(detail)

    def raise_any(self, path: Path, remedy: str) -> None:
        """Raise DataSetError if anything was added."""
        if self._details:
            lines = [
                f"\n  {len(details)} × {kind}: "
                + "; ".join(details[: self._NAMED_AT_MOST])
                + ("; …" if len(details) > self._NAMED_AT_MOST else "")
                for kind, details in self._details.items()
            ]
            raise DataSetError(f"{path}: not usable as it is; {remedy}" + "".join(lines))


class _UnusableError(Exception):
    def __init__(self, kind: str, detail: str) -> None:
        self.kind, self.detail = kind, detail


def _read_json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))  # Windows' editors put a mark before it
    except FileNotFoundError as error:
        raise DataSetError(f"{path}: no such file; a SEE folder holds emotion.json, frame/ and event/") from error
    except (OSError, ValueError, RecursionError) as error:
        raise DataSetError(f"{path}: not a readable annotation file ({error}); SEE's is emotion.json") from error
    if not isinstance(document, dict):
        raise DataSetError(f"{path}: not an annotation file, which holds 'labels' and a 'database'")
    return document


def read_labels(path: Path | str) -> tuple[str, ...]:
    """The class order of a network: the `labels` of the annotation file that it was trained with.

    Raises:
        DataSetError: no such file, not JSON, or it doesn't list seven different labels.
    """
    return _labels(_read_json(Path(path)), Path(path))


def _labels(document: dict[str, Any], path: Path) -> tuple[str, ...]:
    labels = document.get("labels")
    if not isinstance(labels, list) or not all(isinstance(x, str) and x.isprintable() for x in labels):
        raise DataSetError(f"{path}: has no list of names under 'labels'; SEE's emotion.json has one")
    if len(labels) != len(LABELS) or len(set(labels)) != len(labels):
        raise DataSetError(f"{path}: 'labels' are {labels}; the network tells {len(LABELS)} different ones apart")
    if folders := [label for label in labels if "/" in label or label.startswith(".")]:
        raise DataSetError(f"{path}: the label {folders[0]!r} can't be the name of a folder, which each label has")
    return tuple(labels)


def _entry(name: str, record: Any, labels: tuple[str, ...]) -> Entry:
    parsed = SequenceName.parse(name)
    annotations = record.get("annotations") if isinstance(record, dict) else None
    if not isinstance(annotations, dict):
        raise _UnusableError("no annotations", name)
    label, segment, subset = annotations.get("label"), annotations.get("segment"), record.get("subset")
    if label not in labels:
        raise _UnusableError("labels that 'labels' doesn't list", f"{label!r} of {name}")
    if subset not in (TRAINING, TESTING):
        raise _UnusableError(f"subset neither {TRAINING} nor {TESTING}", f"{subset!r} of {name}")
    if not (isinstance(segment, list) and len(segment) == 2 and all(type(x) is int for x in segment)):
        raise _UnusableError("no segment [first, end]", name)
    if segment[0] < 0 or segment[1] - segment[0] < SHORTEST:
        raise _UnusableError(f"segments of fewer than {SHORTEST} frames", f"{segment} of {name}")
    return Entry(name, parsed, subset, label, (segment[0], segment[1]))
