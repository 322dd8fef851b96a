"""The confusion matrices as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from canthus_model.evaluate.figures import EMOTIONS, Figures
from canthus_model.pictures import INK, PAPER
from canthus_model.see.names import LIGHTINGS

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_confusion(figures: Figures, path: Path, model: str) -> None:
    """Write a PNG of all answers' confusion matrix and a small one for each lighting, headed by the `model`'s name.

    A cell holds the percentage of its row and, below, the number of answers in all runs.
    """
    from matplotlib.figure import Figure

    runs = len(figures.war.runs)
    picture = Figure(figsize=(19, 9.5), dpi=120, facecolor=PAPER, layout="constrained")
    picture.get_layout_engine().set(w_pad=0.12, h_pad=0.12, wspace=0.03, hspace=0.04)
    left, right = picture.subfigures(1, 2, width_ratios=(1, 1.02))
    all_lightings = left.subplots()
    rows = [f"{name}\n{figure.sequences} sequences" for name, figure in figures.recall.items()]
    _draw(all_lightings, figures.confusion.sum(0), rows, size=13)
    all_lightings.set_title(
        f"{model}: WAR {figures.war}, UAR {figures.uar}\n", fontsize=19, fontweight="bold", color=INK, loc="left"
    )
    all_lightings.text(
        0, 1.02, f"{figures.war.sequences} sequences, {runs} run{'s' if runs != 1 else ''}; "
        "percent of each row, and the answers of all runs", transform=all_lightings.transAxes, fontsize=12, color=INK,
    )  # fmt: skip
    all_lightings.set_xlabel("predicted", fontsize=14, color=INK)
    all_lightings.set_ylabel("true", fontsize=14, color=INK)
    for axes, counts, lighting in zip(right.subplots(2, 2).flat, figures.confusion, LIGHTINGS, strict=True):
        _draw(axes, counts, EMOTIONS, size=8.5)
        figure = figures.accuracy[lighting]
        axes.set_title(f"{lighting}  {figure}", fontsize=13, fontweight="bold", color=INK, loc="left")
        axes.set_title(f"{figure.sequences} sequences", fontsize=10, color=INK, loc="right")
    picture.savefig(path, format="png")


def _draw(axes: Axes, counts: NDArray[np.int64], rows: list[str] | tuple[str, ...], size: float) -> None:
    """Draw counts (7, 7) by true and predicted emotion; `size` is that of the cells' text."""
    totals = counts.sum(1, keepdims=True)
    percent = 100 * counts / np.maximum(totals, 1)
    axes.imshow(percent, cmap="Blues", vmin=0, vmax=100)
    for (row, column), count in np.ndenumerate(counts):
        color = PAPER if percent[row, column] > 55 else INK
        share = f"{percent[row, column]:.1f}" if totals[row, 0] else "–"
        weight = "bold" if row == column else "normal"
        axes.text(column, row - 0.1, share, ha="center", va="center", fontsize=size, color=color, fontweight=weight)
        if totals[row, 0]:
            axes.text(column, row + 0.25, count, ha="center", va="center", fontsize=size * 0.75, color=color, alpha=0.8)
    axes.set_xticks(range(len(EMOTIONS)), EMOTIONS, rotation=35, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(EMOTIONS)), rows)
    axes.tick_params(labelsize=max(9, size * 0.9), length=0, colors=INK)
    axes.set_xticks(np.arange(len(EMOTIONS) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(EMOTIONS) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color=PAPER, linewidth=1.5)
    axes.tick_params(which="minor", length=0)
    axes.spines[:].set_visible(False)
