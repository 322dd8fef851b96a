"""Everything that is taken away from a network, one after the other, and what it answers then."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from canthus.errors import EvaluationError
from canthus.parts import ENCODERS
from canthus_model.config import EXPERTS
from canthus_model.evaluate.ablation.encoded import Encoded
from canthus_model.evaluate.ablation.experts import count_experts
from canthus_model.evaluate.ablation.findings import find
from canthus_model.evaluate.ablation.models import Answering, Answers, NetworkParts
from canthus_model.evaluate.ablation.others import draw_again, draw_others
from canthus_model.evaluate.ablation.panel import Panel
from canthus_model.evaluate.ablation.rows import Ablation, Taken, measure_row
from canthus_model.evaluate.ablation.shown import (
    EVENTS,
    EVERYTHING,
    FRAMES,
    HALVES,
    REDRAWN,
    Half,
    Sources,
    all_redrawn,
    blank,
    everything,
    of_others,
)
from canthus_model.evaluate.ablation.without import PARTS
from canthus_model.see.dataset import See

_AT_A_TIME = 128  # clips given to the head
_BLANK = {FRAMES: "black frames", EVENTS: "no events"}


class _Try(NamedTuple):
    row: Taken
    images: NDArray[np.int64]  # see `shown.everything`
    without: AbstractContextManager[None]


def ablate(
    model: Answering,
    see: See,
    encoded: Encoded,
    *,
    halves: Sequence[Half] = HALVES,
    seed: int = 0,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Ablation:
    """Show `model` the clips with one thing after another taken away, and tell what that changes.

    Args:
        encoded: the clips of two runs or more, by the same model.
        halves: of the images, that are taken from other clips one after the other.
        seed: decides whose images are shown in place of a clip's own, anew in each run.
        report: called with how many things were tried and how many there are.

    Raises:
        EvaluationError: fewer than two runs, which tell nothing of what chance does, or fewer than two sequences.
    """
    runs, sequences = encoded.clips.shape
    if runs < 2:
        raise EvaluationError("one run tells nothing of what another drawing of clips changes; take --runs 2 or more")
    names = [sequence.entry.parts for sequence in see.sequences]
    others = np.take_along_axis(encoded.clips, draw_others(names, runs, seed), 1)
    sources = Sources(encoded.clips, others, draw_again(encoded.clips), encoded.nothing)
    panel = Panel(names, seed)
    true = np.array([see.labels.index(sequence.label) for sequence in see.sequences])
    tries = list(_tries(model, sources, halves))
    rows = []
    for done, (row, images, without) in enumerate(tries, 1):
        with without:
            answers = _answer(model, encoded, images)
        if not rows:
            usual, experts = answers.label, count_experts(answers.experts, names)
        rows.append(measure_row(row, panel, answers.label == true, answers.label == usual))
        report(done, len(tries))
    measured = Ablation(runs, sequences, panel.volunteers, panel.chance, {row.name: row for row in rows}, experts)
    return measured.telling(find(measured, encoded.flat))


def _tries(model: Answering, sources: Sources, halves: Sequence[Half]) -> Iterator[_Try]:
    yield _Try(Taken(EVERYTHING), everything(sources), nullcontext())
    yield _Try(Taken(REDRAWN), all_redrawn(sources), nullcontext())
    for half in halves:
        yield _of_others(half, sources)
        if half in _BLANK and sources.nothing is not None:
            yield _Try(Taken(_BLANK[half]), blank(half, sources), nullcontext())
    if isinstance(model, NetworkParts):
        for part in PARTS:
            taken = Taken(part.row, part.name, of_network=True)
            yield _Try(taken, everything(sources), part.taken_from(model.network))


def _of_others(half: Half, sources: Sources) -> _Try:
    return _Try(
        Taken(f"{half.name} of others", f"the {half.name}", half.plural), of_others(half, sources), nullcontext()
    )


def _answer(model: Answering, encoded: Encoded, images: NDArray[np.int64]) -> Answers:
    """To `images` (R, N, 4), rows of features: labels (R, N) and experts (R, N, 8). What comes twice is shown once."""
    different, again = np.unique(images.reshape(-1, len(ENCODERS)), axis=0, return_inverse=True)
    parts = [
        model.answer({name: encoded.features[name][rows[:, place]] for place, name in enumerate(ENCODERS)})
        for rows in np.split(different, range(_AT_A_TIME, len(different), _AT_A_TIME))
    ]
    label, experts = (np.concatenate(column)[again.ravel()] for column in zip(*parts, strict=True))
    return Answers(label.reshape(images.shape[:2]), experts.reshape(*images.shape[:2], EXPERTS))
