"""An ablation as tables, 100 columns wide at most, and sentences."""

from __future__ import annotations

import textwrap

import numpy as np
from numpy.typing import NDArray

from canthus_model.evaluate.ablation.experts import Experts
from canthus_model.evaluate.ablation.findings import is_rough
from canthus_model.evaluate.ablation.panel import CONFIDENCE
from canthus_model.evaluate.ablation.rows import Ablation, Row
from canthus_model.see.names import LIGHTINGS

WIDTH = 100
_NAME, _COLUMN, _EXPERT = 29, 12, 7


def tables(ablation: Ablation) -> str:
    """What the network is shown, then what it is without, then its experts, then what follows; in percent."""
    volunteers = _count(ablation.volunteers, "volunteer")
    head = (
        f"{ablation.runs} drawings of {_count(ablation.sequences, 'sequence')} of {volunteers}; "
        f"percent ± half of the {CONFIDENCE} % interval over volunteers"
    )
    shown = [row for row in ablation.rows.values() if not row.taken.of_network]
    within = [row for row in ablation.rows.values() if row.taken.of_network]
    lines = [head, "", _line("shown", "UAR", *LIGHTINGS, "same label"), *map(_row, shown)]
    if within:
        lines += ["", _line("network", "UAR", *LIGHTINGS, "same label"), *map(_row, within)]
    lines += ["", *_experts(ablation.experts), ""]
    for finding in ablation.findings:
        lines += textwrap.wrap(f"- {finding.sentence}", WIDTH, subsequent_indent="  ")
    if is_rough(ablation):
        lines += textwrap.wrap(f"± rests on {volunteers} alone: it is rough, and others may differ by more", WIDTH)
    return "\n".join(line.rstrip() for line in lines)


def _row(row: Row) -> str:
    return _line(row.name, str(row.uar), *(str(row.lighting_uar[name]) for name in LIGHTINGS), str(row.same))


def _line(name: str, *columns: str) -> str:
    return f"{name:<{_NAME}}" + "".join(f"{text:<{_COLUMN}}" for text in columns)


def _experts(experts: Experts) -> list[str]:
    title = f"{'expert asked, % of clips':<{_NAME}}" + "".join(f"{n:>{_EXPERT}}" for n in range(len(experts.overall)))
    return [title, *(_shares(name, shares) for name, shares in (("all", experts.overall), *experts.by.items()))]


def _shares(name: str, shares: NDArray[np.float64]) -> str:
    texts = ("–" if not share else f"{share:.1f}" for share in shares)  # a dash: not once
    return f"{name:<{_NAME}}" + "".join(f"{text:>{_EXPERT}}" for text in texts)


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
