"""Recordings as bands over time: what is shown, above what was answered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from canthus_model.config import LABELS
from canthus_model.evaluate.streams.answers import Answers
from canthus_model.evaluate.streams.truth import Truth
from canthus_model.pictures import INK, PAPER

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 12  # recordings; more would be too small to look at
_COLOURS = ("#d55e00", "#009e73", "#7b3294", "#e69f00", "#bdbdbd", "#0072b2", "#cc79a7")
"""Of LABELS, in that order; told apart by those who see fewer colours, too."""
_AWAY = "#f2f2f2"
_ROWS = {"shown": 3, "steady": 2, "raw": 1}


def draw_bands(recordings: Sequence[tuple[str, Truth, Answers]], path: Path, bundle: str) -> None:
    """Write a PNG of the first MOST recordings, each (name, truth, answers), headed by the `bundle`'s name."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    drawn = recordings[:MOST]
    picture = Figure(figsize=(18, 1.2 + 1.3 * len(drawn)), dpi=110, facecolor=PAPER, layout="constrained")
    axes = picture.subplots(len(drawn), 1, squeeze=False)[:, 0]
    for (name, truth, said), one in zip(drawn, axes, strict=True):
        _draw(one, name, truth, said)
    axes[-1].set_xlabel("seconds", color=INK)
    more = f", {len(drawn)} of {len(recordings)} recordings" if len(drawn) < len(recordings) else ""
    picture.suptitle(
        f"{bundle}{more}: what is shown, what is steady, and what the network said of each moment",
        x=0.01, ha="left", fontsize=14, fontweight="bold", color=INK,
    )  # fmt: skip
    key = [Patch(color=colour, label=label) for label, colour in zip(LABELS, _COLOURS, strict=True)]
    key += [Patch(facecolor=_AWAY, hatch="//", edgecolor=INK, label="no eye, or unsure")]
    key += [Patch(color=INK, label="blink")]
    picture.legend(handles=key, loc="outside lower center", ncols=len(key), frameon=False)
    picture.savefig(path, format="png")


def _draw(axes: Axes, name: str, truth: Truth, said: Answers) -> None:
    begin, end = said.times_us[0], said.times_us[-1]
    for shown in truth.expressions:
        if shown.until_us > begin:
            _bar(axes, "shown", shown.label, max(shown.onset_us, begin) - begin, min(shown.until_us, end) - begin)
    for gone in truth.no_eye:
        _bar(axes, "shown", None, gone.from_us - begin, gone.until_us - begin)
    for row, labels in (("steady", said.steady), ("raw", said.raw)):
        for label, from_us, until_us in _runs(said.times_us, labels):
            _bar(axes, row, label, from_us - begin, until_us - begin)
    blinks = [(max(blink.from_us - begin, 0) / 1e6, (blink.until_us - blink.from_us) / 1e6) for blink in truth.blinks]
    axes.broken_barh([one for one in blinks if one[0] * 1e6 < end - begin], (3.92, 0.12), facecolors=INK)
    lightings = " → ".join(name for _, name in truth.lightings)
    axes.set_title(f"{name}, {lightings}", loc="left", fontsize=9, color=INK)
    axes.set_yticks([place + 0.45 for place in _ROWS.values()], list(_ROWS))
    axes.set_xlim(0, (end - begin) / 1e6)
    axes.set_ylim(0.95, 4.1)
    axes.tick_params(length=0, colors=INK, labelsize=8)
    axes.spines[:].set_visible(False)


def _bar(axes: Axes, row: str, label: str | None, from_us: int, until_us: int) -> None:
    place = (_ROWS[row], 0.9)
    span = [(from_us / 1e6, max(until_us - from_us, 0) / 1e6)]
    if label is None:
        axes.broken_barh(span, place, facecolors=_AWAY, hatch="//", edgecolor=INK, linewidth=0)
    else:
        axes.broken_barh(span, place, facecolors=_COLOURS[LABELS.index(label)])


def _runs(times: list[int], labels: Sequence[str | None]) -> Iterable[tuple[str | None, int, int]]:
    place = 0
    for label, group in groupby(labels):
        begin, place = place, place + len(list(group))
        yield label, times[begin], times[min(place, len(times) - 1)]
