"""The score of recordings as a table."""

from __future__ import annotations

from typing import Any

from canthus_model.evaluate.streams.score import Score

_COLUMNS = ("wrong, % of the time", "unsure, %", "changes per true one", "onset to answer, ms", "added, ms", "missed")


def table(score: Score) -> str:
    """For people: of each lighting the raw answers and the steady ones, and below what concerns all of them."""
    document = score.as_dict()
    lines = [f"{document['recordings']} recordings; delays: median, 90th percentile", ""]
    lines.append(f"{'':<22}" + "".join(f"{name:>22}" for name in _COLUMNS))
    for name, found in document["lightings"].items():
        for kind in ("raw", "steady"):
            one, added = found[kind], found["added_delay_ms"] if kind == "steady" else None
            cells = (
                f"{one['wrong']:.1f}",
                f"{one['unsure']:.1f}",
                _number(one["changes_per_true_change"], 2) + f" ({one['changes']}/{one['true_changes']})",
                _pair(one["onset_delay_ms"]),
                _pair(added) if added else "",
                f"{one['missed']} of {one['expressions']}",
            )
            lines.append(f"{name if kind == 'raw' else '':<13}{kind:<9}" + "".join(f"{cell:>22}" for cell in cells))
    episodes, blinks, no_eye = document["episodes"], document["blinks"], document["no_eye"]
    lines += [
        "",
        f"episodes: {episodes['told']}; {episodes['invented']} of them of an expression that wasn't shown then",
        f"blinks: {blinks['shown']}; an eye was said to be closed during {blinks['told']} of them, and in "
        f"{_number(blinks['wrongly closed'], 1)} % of the answers with an open eye",
        f"episodes that began or ended with a blink, and nothing else: {blinks['episode begun or ended']}; had the "
        f"blinks been at other times: {blinks['as often by chance']:.1f} in the mean",
    ]
    if no_eye["answers"]:
        told = f"{no_eye['said so within 0.5 s']:.1f} % of {no_eye['answers']} answers"
        lines.append(f"no eye in view for half a second or longer: {told} say so")
    if no_eye["answers with an eye"]:
        told = f"{no_eye['wrongly refused']:.1f} % of {no_eye['answers with an eye']} answers"
        lines.append(f"an eye in view: {told} deny it")
    reasons = ", ".join(f"{count} {reason}" for reason, count in document["unsure"].items() if count)
    return "\n".join([*lines, *([f"unsure: {reasons}"] if reasons else [])])


def _pair(delay: dict[str, Any]) -> str:
    return f"{_number(delay['median'])}, {_number(delay['p90'])}"


def _number(value: float | None, digits: int = 0) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
