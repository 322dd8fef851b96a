"""The figures of the papers: recalls, accuracies and their spread over the runs."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from canthus.confidence import Honesty
from canthus.errors import DataSetError
from canthus_model.evaluate.honesty import honesty, honesty_of_scores
from canthus_model.evaluate.results import Run, Scores, check_same_sequences
from canthus_model.see.names import LIGHTINGS, SequenceName

EMOTIONS = ("happiness", "sadness", "angry", "disgust", "surprise", "fear", "neutral")
"""The labels of SEE, in the order of the papers' tables."""


@dataclass(frozen=True)
class Figure:
    """One figure in percent.

    Attributes:
        runs: its value in each run; empty if no sequence bears on it.
        sequences: how many bear on it.
    """

    runs: tuple[float, ...]
    sequences: int

    @property
    def mean(self) -> float | None:
        """Over the runs; None if no sequence bears on it."""
        return statistics.fmean(self.runs) if self.runs else None

    @property
    def spread(self) -> float | None:
        """The sample standard deviation over the runs (divisor: runs - 1); None if there are fewer than two."""
        return statistics.stdev(self.runs) if len(self.runs) > 1 else None

    def __str__(self) -> str:
        if self.mean is None:
            return "–"
        return f"{self.mean:.1f}" + ("" if self.spread is None else f" ± {self.spread:.1f}")


@dataclass(frozen=True)
class Figures:
    """What an evaluation found.

    Attributes:
        recall: by emotion, in the order of EMOTIONS.
        accuracy: by lighting, in the order of LIGHTINGS.
        lighting_uar: the mean of the recalls under one lighting, by lighting.
        war: weighted average recall, which is the accuracy over all sequences.
        uar: unweighted average recall, the mean of the recalls of the emotions that there are.
        confusion: int64 (4, 7, 7), answers of all runs by lighting, true and predicted emotion.
        confidence: how sure the answers are against how often they are right, by lighting, and of `all`.
        volunteers: the WAR of each volunteer's sequences in percent, the mean over the runs, by the name that
            sequences give them.
    """

    recall: dict[str, Figure]
    accuracy: dict[str, Figure]
    lighting_uar: dict[str, Figure]
    war: Figure
    uar: Figure
    confusion: NDArray[np.int64]
    confidence: dict[str, Honesty]
    volunteers: dict[str, float]

    @property
    def spread_of_volunteers(self) -> float | None:
        """The sample standard deviation of the volunteers' WAR; None if there are fewer than two."""
        return statistics.stdev(self.volunteers.values()) if len(self.volunteers) > 1 else None

    @property
    def absent(self) -> list[str]:
        """The emotions that no sequence shows; UAR is over the others."""
        return [emotion for emotion, figure in self.recall.items() if not figure.sequences]

    def as_dict(self) -> dict[str, Any]:
        """All numbers, ready for JSON."""
        return {
            "runs": len(self.war.runs),
            "sequences": self.war.sequences,
            "unit": "percent; spread is the sample standard deviation over the runs, of clips of the same volunteers",
            "recall": {name: _as_dict(figure) for name, figure in self.recall.items()},
            "accuracy": {name: _as_dict(figure) for name, figure in self.accuracy.items()},
            "lighting_uar": {name: _as_dict(figure) for name, figure in self.lighting_uar.items()},
            "war": _as_dict(self.war),
            "uar": _as_dict(self.uar),
            "war_of_volunteers": {"spread": self.spread_of_volunteers, **self.volunteers},
            "confidence": {name: asdict(one) for name, one in self.confidence.items()},
            "confusion": {
                "rows are true, columns predicted": EMOTIONS,
                "all": self.confusion.sum(0).tolist(),
                **{lighting: self.confusion[place].tolist() for place, lighting in enumerate(LIGHTINGS)},
            },
        }


def figures(runs: Sequence[Run]) -> Figures:
    """The figures of some runs over the same sequences. True emotion and lighting are what the names say.

    Raises:
        DataSetError: no run, runs that cover different sequences, a name that isn't a SEE sequence's, an
            emotion that isn't one of EMOTIONS.
    """
    counts = _count(runs)
    every_lighting = counts.sum(1)
    return Figures(
        recall={name: _recall(every_lighting, place) for place, name in enumerate(EMOTIONS)},
        accuracy={name: _accuracy(counts[:, place]) for place, name in enumerate(LIGHTINGS)},
        lighting_uar={name: _uar(counts[:, place]) for place, name in enumerate(LIGHTINGS)},
        war=_accuracy(every_lighting),
        uar=_uar(every_lighting),
        confusion=counts.sum(0),
        confidence=_confidence(runs),
        volunteers=_volunteers(runs),
    )


def _count(runs: Sequence[Run]) -> NDArray[np.int64]:
    """Answers (R, 4, 7, 7) by run, lighting, true and predicted emotion."""
    if not runs or not runs[0]:
        raise DataSetError("there are no results to take figures from; give one run or more")
    check_same_sequences({f"run {number}": run for number, run in enumerate(runs, 1)})
    counts = np.zeros((len(runs), len(LIGHTINGS), len(EMOTIONS), len(EMOTIONS)), np.int64)
    for name in runs[0]:
        parts = SequenceName.parse(name)
        lighting, true = LIGHTINGS.index(parts.lighting), _place(parts.emotion, name)
        for number, run in enumerate(runs):
            predicted = max(run[name], key=run[name].__getitem__)
            counts[number, lighting, true, _place(predicted, name)] += 1
    return counts


def _confidence(runs: Sequence[Run]) -> dict[str, Honesty]:
    """Lightings without answers are left out."""
    answers: dict[str, list[tuple[Scores, str]]] = {name: [] for name in ("all", *LIGHTINGS)}
    for name in runs[0]:
        parts = SequenceName.parse(name)
        for run in runs:
            for of in ("all", parts.lighting):
                answers[of].append((run[name], parts.emotion))
    return {name: _honesty(some) for name, some in answers.items() if some}


def _honesty(answers: list[tuple[Scores, str]]) -> Honesty:
    """Published results hold the score of the answer alone, from which only some of it follows."""
    if all(len(scores) == len(EMOTIONS) for scores, _ in answers):
        probabilities = np.array([[scores[emotion] for emotion in EMOTIONS] for scores, _ in answers])
        return honesty(probabilities, np.array([EMOTIONS.index(true) for _, true in answers]))
    confidence = np.array([max(scores.values()) for scores, _ in answers])
    return honesty_of_scores(confidence, np.array([max(s, key=s.__getitem__) == true for s, true in answers]))


def _volunteers(runs: Sequence[Run]) -> dict[str, float]:
    right: dict[str, list[bool]] = {}
    for name in runs[0]:
        parts = SequenceName.parse(name)
        answers = [max(run[name], key=run[name].__getitem__) == parts.emotion for run in runs]
        right.setdefault(parts.volunteer, []).extend(answers)
    return {volunteer: 100 * statistics.fmean(right[volunteer]) for volunteer in sorted(right)}


def _place(emotion: str, name: str) -> int:
    if emotion not in EMOTIONS:
        raise DataSetError(f"{name}: {emotion[:100]!r} is not an emotion of SEE; those are {', '.join(EMOTIONS)}")
    return EMOTIONS.index(emotion)


# Each takes counts (R, 7, 7) by run, true and predicted emotion.


def _recall(counts: NDArray[np.int64], emotion: int) -> Figure:
    return _share(counts[:, emotion, emotion], counts[0, emotion].sum())


def _accuracy(counts: NDArray[np.int64]) -> Figure:
    return _share(counts.trace(axis1=1, axis2=2), counts[0].sum())


def _uar(counts: NDArray[np.int64]) -> Figure:
    recalls = [_recall(counts, emotion).runs for emotion in range(len(EMOTIONS))]
    by_run = zip(*filter(None, recalls), strict=True)
    return Figure(tuple(statistics.fmean(run) for run in by_run), int(counts[0].sum()))


def _share(right: NDArray[np.int64], sequences: np.int64) -> Figure:
    """`right` (R,) of so many sequences, in percent."""
    return Figure(tuple((100 * right / sequences).tolist()) if sequences else (), int(sequences))


def _as_dict(figure: Figure) -> dict[str, Any]:
    return {"mean": figure.mean, "spread": figure.spread, "sequences": figure.sequences, "runs": figure.runs}
