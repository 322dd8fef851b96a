"""What a bundle says of a recording, as an app would hear it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import canthus
from canthus.engine import Engine
from canthus.episodes import Episode
from canthus.errors import EvaluationError


@dataclass(frozen=True)
class Answers:
    """Of one recording.

    Attributes:
        times_us: of each answer, by the sensor's clock.
        raw: what the network said of each moment alone.
        steady: what was steady; None where the answer was unsure.
        unsure: why it was; None where it wasn't.
        episodes: all that have ended.
    """

    times_us: list[int]
    raw: list[str]
    steady: list[str | None]
    unsure: list[str | None]
    episodes: list[Episode]


def listen(engine: Engine, recording: Path) -> Answers:
    """
    Raises:
        SourceError: the recording can't be read.
        EvaluationError: it is too short for a single answer.
    """
    said = Answers([], [], [], [], [])
    with canthus.open(recording) as source:
        watching = canthus.watch(engine, source)
        for expression in watching:
            said.times_us.append(expression.time_us)
            said.raw.append(expression.label)
            said.steady.append(None if expression.unsure else expression.steady)
            said.unsure.append(expression.unsure)
            said.episodes.extend(one for one in watching.take_episodes() if one.offset_us is not None)
        said.episodes.extend(one for one in watching.take_episodes() if one.offset_us is not None)
        if not said.times_us:
            raise EvaluationError(f"{recording}: no answers: {watching.why_no_answers}")
    return said
