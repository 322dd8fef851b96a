"""The published protocol: many runs over the testing subset, each of a clip of each sequence."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from canthus.errors import DataSetError, EvaluationError
from canthus_model.evaluate.figures import EMOTIONS
from canthus_model.evaluate.results import Run, ranked
from canthus_model.see.annotation import Problems
from canthus_model.see.batches import batches
from canthus_model.see.dataset import ANNOTATION, See
from canthus_model.see.moments import Clips


class Model(Protocol):
    """Anything that can be evaluated."""

    def probabilities(self, frame: NDArray[np.uint8], event: NDArray[np.uint8]) -> NDArray[np.floating[Any]]:
        """(B, 7), in the order of the data set's labels.

        Args:
            frame: grey frames (B, 2, H, W); [:, 0] is the first moment, [:, 1] the last.
            event: event images, likewise.
        """
        ...


def evaluate(
    model: Model,
    see: See,
    *,
    runs: int = 20,
    seed: int = 0,
    batch: int = 32,
    workers: int = 2,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> list[Run]:
    """What `model` says in each of `runs` runs: by name of the sequence, the probability of each label.

    The same seed draws the same clips. A clip that several runs draw is shown to the model once.

    Args:
        see: an opened subset, "testing" for the published figures.
        batch: clips shown at a time.
        workers: processes that decode images; with 0 this one does.
        report: called with the clips done and their number.

    Raises:
        DataSetError: an image that can't be decoded; labels that aren't SEE's, or of which a name says another.
        EvaluationError: the model answers something else than (B, 7) finite numbers.
    """
    check_labels(see)
    clips = Clips(see, seed)
    runs_of: dict[tuple[int, tuple[int, int]], list[int]] = {}
    for run in range(runs):
        for index in range(len(clips)):
            runs_of.setdefault((index, clips.moments((run, index))), []).append(run)
    keys = [(same[0], index) for (index, _), same in runs_of.items()]
    same_runs = iter(runs_of.values())
    answers = np.empty((runs, len(clips), len(see.labels)))
    done = 0
    with contextlib.closing(batches(clips, keys, batch, workers)) as shown:
        for frame, event, indices in shown:
            answer = model.probabilities(frame, event)
            _check_answer(answer, (len(indices), len(see.labels)))
            for row, index in zip(answer, indices, strict=True):
                answers[next(same_runs), index] = row
            done += len(answer)
            report(done, len(keys))
    return [
        {
            sequence.name: ranked(dict(zip(see.labels, row, strict=True)))
            for sequence, row in zip(see.sequences, run, strict=True)
        }
        for run in answers.tolist()
    ]


def check_labels(see: See) -> None:
    """Raise DataSetError unless the labels are SEE's, and each sequence's the one that its name says."""
    path = see.root / ANNOTATION
    if set(see.labels) != set(EMOTIONS):
        raise DataSetError(f"{path}: its labels are {', '.join(see.labels)}; those of SEE are {', '.join(EMOTIONS)}")
    problems = Problems()
    for sequence in see.sequences:
        if sequence.label != sequence.entry.parts.emotion:
            problems.add("annotated with another emotion than the name says", f"{sequence.label!r} of {sequence.name}")
    problems.raise_any(path, "correct the annotations, or the names that results are read by")


def _check_answer(answer: NDArray[np.floating[Any]], shape: tuple[int, int]) -> None:
    if np.shape(answer) != shape:
        raise EvaluationError(f"the model answered in the shape {np.shape(answer)}, not {shape}: clips, labels")
    if not np.isfinite(answer).all():
        raise EvaluationError("the model answered NaN or infinity; it computes nothing usable here")
