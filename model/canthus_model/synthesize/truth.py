"""What a recording shows and when, as a document beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from canthus.errors import RecordingError
from canthus.whole_file import whole_file
from canthus_model.synthesize.simulation import FIRST_TIME
from canthus_model.synthesize.take import Take

_Move = tuple[float, float]


def truth_of(take: Take) -> dict[str, Any]:
    """All times in microseconds of the sensor's clock.

    `expressions`: from `onset_us` on the face moves towards the expression, is there at `apex_us`, moves back to rest
    from `offset_us` on, and is there at `until_us`. `blinks`: from when the lids begin to close until they are open
    again. `no_eye`: from when the eye begins to leave until it is back. `lighting`: from when on it is which.
    """
    stage = take.stage()
    expressions = [
        {
            "label": label,
            "onset_us": _time(onset[0]),
            "apex_us": _time(onset[1]),
            "offset_us": _time(offset[0]),
            "until_us": _time(offset[1]),
        }
        for label, (onset, offset) in zip(take.labels, _pairs(stage.expression.moves()), strict=True)
    ]
    blinks = [
        {"from_us": _time(closing[0]), "until_us": _time(opening[1])}
        for closing, opening in _pairs(stage.motion.closure.moves())
    ]
    no_eye = [
        {"from_us": _time(one.begin), "until_us": _time(one.end), "what": one.what} for one in stage.interruptions
    ]
    lighting = [{"from_us": FIRST_TIME, "lighting": take.lighting}]
    if take.then:
        lighting.append({"from_us": _time(take.turns), "lighting": take.then})
    return {"expressions": expressions, "blinks": blinks, "no_eye": no_eye, "lighting": lighting}


def write_truth(take: Take, path: Path) -> None:
    """Write it as JSON, whole or not at all. Raises RecordingError."""
    try:
        with whole_file(path) as partial:
            partial.write_text(json.dumps(truth_of(take), indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise RecordingError(f"{path}: can't be written ({error.strerror or error})") from error


def _pairs(moves: list[_Move]) -> list[tuple[_Move, _Move]]:
    """There, and back."""
    return list(zip(moves[::2], moves[1::2], strict=True))


def _time(seconds: float) -> int:
    return FIRST_TIME + round(seconds * 1e6)
