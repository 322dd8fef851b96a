"""Whether a network uses its frames, and whether its events, from clips that are decoded and encoded already."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import onnx

from canthus.errors import EvaluationError
from canthus.modalities import Exchanged, Modalities
from canthus.parts import HEAD
from canthus_calibration.running import Array, opened, run
from canthus_calibration.subsets import Drawn
from canthus_model.evaluate.ablation.encoded import Encoded, number_clips
from canthus_model.evaluate.ablation.findings import IGNORED, UNKNOWN
from canthus_model.evaluate.ablation.measure import ablate
from canthus_model.evaluate.ablation.models import Answers, Features
from canthus_model.evaluate.ablation.rows import Ablation, Row
from canthus_model.evaluate.ablation.shown import EVENTS, EVERYTHING, FRAMES, REDRAWN
from canthus_model.see.dataset import See
from canthus_model.see.moments import Clips
from canthus_model.steps import Steps

_HALVES = (FRAMES, EVENTS)
_CLIPS = 1000  # more would hardly narrow an interval over volunteers, and the head of a large network takes its time


def look_at_modalities(
    head: onnx.ModelProto, features: Mapping[str, Array], clips: Drawn, see: See, steps: Steps
) -> Modalities | None:
    """As `measure_modalities`, as a step that is told; None where nothing can be measured."""
    with steps.step("ablate") as step:
        try:
            found = measure_modalities(head, features, clips, see)
        except EvaluationError as error:
            step.result(f"whether frames and events are used is not known: {error}")
            return None
        verdicts = ", ".join(f"{name} {one.verdict}" for name, one in found.exchanged.items())
        step.result(f"{verdicts}, by {found.clips} clips of {found.volunteers} testing volunteers")
    for why in dict.fromkeys(one.why for one in found.exchanged.values() if one.verdict == UNKNOWN):
        steps.note(why)
    for one in found.exchanged.values():
        if one.verdict == IGNORED:
            steps.warn(f"{one.why}; canthus evaluate --ablate tells more")
    return found


def measure_modalities(head: onnx.ModelProto, features: Mapping[str, Array], clips: Drawn, see: See) -> Modalities:
    """What a head answers when the frames, or the events, are those of other clips.

    Args:
        head: its graph.
        features: of the clips, (N, F) by encoder, as the encoders beside this head give them.
        clips: of two or more rounds, one of each sequence in each, as `decode` gives them for round after round.
        see: whose they are.

    Raises:
        EvaluationError: there is one sequence alone.
    """
    sequences = len(see.sequences)
    rounds = min(len(clips) // sequences, max(-(-_CLIPS // sequences), 2))
    numbers, firsts = number_clips(Clips(see), rounds)
    rows = [turn * sequences + place for turn, place in firsts]
    flat = [
        half.name
        for half, images in ((FRAMES, clips.frame[rows]), (EVENTS, clips.event[rows]))
        if images.min() == images.max()
    ]
    encoded = Encoded(numbers, {part: made[rows] for part, made in features.items()}, tuple(flat))
    return _told(ablate(_Head(head), see, encoded, halves=_HALVES))


class _Head:
    def __init__(self, graph: onnx.ModelProto) -> None:
        self._session: Any = opened(HEAD, graph)

    def answer(self, features: Features) -> Answers:
        logits, _, experts = run(self._session, features)
        return Answers(logits.argmax(1), experts > 0)


def _told(found: Ablation) -> Modalities:
    return Modalities(
        clips=found.runs * found.sequences,
        volunteers=found.volunteers,
        agreement=_agreement(found.rows[REDRAWN]),
        uar=_uar(found.rows[EVERYTHING]),
        lighting_uar=_lighting_uar(found.rows[EVERYTHING]),
        exchanged={half.name: _exchanged(f"the {half.name}", found) for half in _HALVES},
    )


def _exchanged(about: str, found: Ablation) -> Exchanged:
    row = next(row for row in found.rows.values() if row.taken.judged == about)
    finding = next(one for one in found.findings if one.about in (about, "all"))
    return Exchanged(
        verdict=finding.verdict,
        why=finding.sentence,
        agreement=_agreement(row),
        uar=_uar(row),
        lighting_uar=_lighting_uar(row),
    )


def _agreement(row: Row) -> float:
    return 100 - float(row.changed_drawn[0])


def _uar(row: Row) -> float:
    return float(row.uar_drawn[0])


def _lighting_uar(row: Row) -> dict[str, float]:
    """Without lightings that no clip is of."""
    return {name: uar.value for name, uar in row.lighting_uar.items() if uar.value is not None}
