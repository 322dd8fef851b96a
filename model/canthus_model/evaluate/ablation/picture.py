"""An ablation as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from canthus_model.evaluate.ablation.experts import Experts
from canthus_model.evaluate.ablation.panel import CONFIDENCE, Estimate
from canthus_model.evaluate.ablation.rows import Ablation
from canthus_model.evaluate.ablation.shown import REDRAWN
from canthus_model.pictures import INK, PAPER

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_POINT, _FAINT = "#2166ac", "#9aa5b1"


def draw_ablation(ablation: Ablation, path: Path, model: str) -> None:
    """Write a PNG: UAR and the share of unchanged labels, row by row, and which experts are asked."""
    from matplotlib.figure import Figure

    picture = Figure(figsize=(19, 7.5), dpi=110, facecolor=PAPER, layout="constrained")
    picture.get_layout_engine().set(w_pad=0.12, h_pad=0.1, wspace=0.03)
    picture.suptitle(
        f"{model}: what it answers when something is taken away\n", fontsize=18, fontweight="bold", color=INK
    )
    picture.text(
        0.5, 0.915, f"{ablation.runs} drawings of {ablation.sequences} sequences of {ablation.volunteers} volunteers; "
        f"lines are {CONFIDENCE} % intervals over volunteers", ha="center", fontsize=12, color=INK,
    )  # fmt: skip
    uar, same, experts = picture.subplots(1, 3, width_ratios=(1, 1, 1.25))
    rows = ablation.rows
    _points(uar, [row.uar for row in rows.values()])
    uar.set_yticks(range(len(rows)), rows)
    _mark(uar, ablation.chance, "knowing nothing")
    uar.set_title("UAR, %", fontsize=14, fontweight="bold", color=INK, loc="left")
    _points(same, [row.same for row in rows.values()])
    same.set_yticks([])
    _mark(same, rows[REDRAWN].same.value, REDRAWN)
    same.set_title("same label as with everything, %", fontsize=14, fontweight="bold", color=INK, loc="left")
    _draw_experts(experts, ablation.experts)
    picture.savefig(path, format="png")


def _points(axes: Axes, estimates: list[Estimate]) -> None:
    for place, estimate in enumerate(estimates):
        if estimate.low is not None and estimate.high is not None:
            axes.plot((estimate.low, estimate.high), (place, place), color=_POINT, linewidth=3, alpha=0.45)
        axes.plot(estimate.value, place, "o", color=_POINT, markersize=8)
        # beside the interval, on that side where there is room
        high, low = estimate.high or estimate.value, estimate.low or estimate.value
        x, side = (high + 2, "left") if high < 88 else (low - 2, "right")
        axes.text(x, place, f"{estimate.value:.1f}", ha=side, va="center", fontsize=11, color=INK)
    axes.set_ylim(len(estimates) - 0.5, -0.5)
    axes.set_xlim(0, 102)
    axes.tick_params(labelsize=11, length=0, colors=INK)
    axes.grid(axis="x", color="#e3e7eb")
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)


def _mark(axes: Axes, level: float, meaning: str) -> None:
    axes.axvline(level, color=_FAINT, linestyle="--", linewidth=1.5, zorder=0)
    axes.set_xlabel(f"dashed: {meaning}, {level:.1f}", fontsize=11, color=INK)


def _draw_experts(axes: Axes, experts: Experts) -> None:
    rows = {"all": experts.overall, **experts.by}
    shares = np.array(list(rows.values()))
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=100, aspect="auto")
    for (row, column), share in np.ndenumerate(shares):
        color = PAPER if share > 55 else INK
        text = f"{share:.0f}" if share >= 1 else "<1" if share else "–"
        axes.text(column, row, text, ha="center", va="center", fontsize=11, color=color)
    axes.set_xticks(range(shares.shape[1]), [f"{n}" for n in range(shares.shape[1])])
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(labelsize=11, length=0, colors=INK)
    axes.set_xlabel("expert; – is never", fontsize=11, color=INK)
    axes.set_title("experts asked, % of clips (two at each)", fontsize=14, fontweight="bold", color=INK, loc="left")
    axes.spines[:].set_visible(False)
