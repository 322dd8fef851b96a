"""How a run went, as a picture: losses, UAR and learning rate by epoch."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from canthus.whole_file import whole_file
from canthus_model.pictures import INK, PAPER
from canthus_model.train.history import Epoch
from canthus_model.train.looked_at import LookedAt

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PALE, _BEST = "#dfe4ec", "#2e7d5b"
_COLORS = ("#5b8db8", "#d1495b")  # of training, and of what is looked at
_FAR = 10  # times the median: a loss beyond it would press all others flat, but by logarithm


class Line(NamedTuple):
    """One curve: values by number of the epoch."""

    name: str
    epochs: list[int]
    values: list[float]


class Lines(NamedTuple):
    """All curves: of training, and after it of what is looked at."""

    losses: list[Line]
    uar: list[Line]  # in percent
    rate: list[Line]


def lines(epochs: Sequence[Epoch], looked_at: LookedAt) -> Lines:
    """The curves of a run's `epochs`; one has a point in the second line of each kind if it was looked at."""
    every, looks = [epoch.number for epoch in epochs], {e.number: e.look for e in epochs if e.look}
    return Lines(
        losses=[
            Line("training", every, [epoch.loss for epoch in epochs]),
            Line(looked_at.caption, list(looks), [look.loss for look in looks.values()]),
        ],
        uar=[
            Line("training", every, [100 * epoch.uar for epoch in epochs]),
            Line(looked_at.caption, list(looks), [100 * look.uar for look in looks.values()]),
        ],
        rate=[Line("", every, [epoch.rate for epoch in epochs])],
    )


def draw_curves(
    epochs: Sequence[Epoch], path: Path, looked_at: LookedAt, labels: int, best: Epoch | None = None
) -> None:
    """Write a PNG of one or more `epochs`, the `best` of them marked; whole, or not at all.

    Args:
        looked_at: what looks were at.
        labels: their number, which tells what guessing comes to.

    Raises:
        OSError: it can't be written.
    """
    import matplotlib.style

    with matplotlib.style.context("default"):  # not what a matplotlibrc makes of other pictures, in LaTeX maybe
        picture = _picture(epochs, looked_at, labels, best)
        with whole_file(path) as partial:
            picture.savefig(partial, format="png")


def _picture(epochs: Sequence[Epoch], looked_at: LookedAt, labels: int, best: Epoch | None) -> Figure:
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    picture = Figure(figsize=(10, 9), dpi=120, facecolor=PAPER, layout="constrained")
    picture.get_layout_engine().set(w_pad=0.15, h_pad=0.12)
    losses, uar, rate = picture.subplots(3, 1, sharex=True, height_ratios=(3, 3, 1.1))
    curves = lines(epochs, looked_at)
    _draw(losses, curves.losses, "loss", guessing=math.log(labels))
    _draw(uar, curves.uar, "UAR, %", guessing=100 / labels)
    _draw(rate, curves.rate, "learning rate")
    if _is_wide(curves.losses):
        losses.set_yscale("log")
        losses.yaxis.set_major_formatter("{x:g}")
        losses.yaxis.set_minor_formatter("")
    uar.set_ylim(-2, 102)
    rate.set_ylim(0, 1.1 * max(curves.rate[0].values))
    rate.yaxis.set_major_formatter("{x:g}")
    rate.set_xlabel("epoch", fontsize=12, color=INK)
    rate.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=(1, 2, 5, 10)))
    picture.align_ylabels()
    if best and best.look:
        for axes in (losses, uar, rate):
            axes.axvline(best.number, color=_BEST, linewidth=1.5, alpha=0.55, zorder=1)
        uar.plot(best.number, 100 * best.look.uar, "o", markersize=12, markeredgewidth=2, mfc="none", color=_BEST)
    losses.legend(frameon=False, fontsize=11, labelcolor=INK, ncols=3, loc="lower right", bbox_to_anchor=(1.01, 0.99))
    losses.set_title(f"{_headline(epochs, looked_at, best)}\n", fontsize=16, fontweight="bold", color=INK, loc="left")
    return picture


def _headline(epochs: Sequence[Epoch], looked_at: LookedAt, best: Epoch | None) -> str:
    if best and best.look:
        return f"best {looked_at.name} UAR {100 * best.look.uar:.1f} %, in epoch {best.number} of {epochs[-1].number}"
    looks = [epoch for epoch in epochs if epoch.look]
    told = f"; {looked_at.name} UAR {100 * looks[-1].look.uar:.1f} %" if looks else ""
    return f"epoch {epochs[-1].number}{told}"


def _is_wide(curves: list[Line]) -> bool:
    """Whether some losses are so far above the others that only a logarithmic axis shows both."""
    values = [value for line in curves for value in line.values if math.isfinite(value)]
    return bool(values) and max(values) > _FAR * statistics.median(values)


def _draw(axes: Axes, curves: list[Line], unit: str, guessing: float | None = None) -> None:
    for line, color in zip(curves, _COLORS, strict=False):
        marker = "o" if len(line.epochs) < 40 else ""
        axes.plot(line.epochs, line.values, color=color, linewidth=2, marker=marker, markersize=4, label=line.name)
    if guessing:
        axes.axhline(guessing, color=INK, linewidth=1, linestyle=(0, (2, 3)), alpha=0.6, label="guessing")
    axes.set_ylabel(unit, fontsize=12, color=INK)
    axes.grid(color=_PALE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", labelsize=10, length=0, colors=INK)
    axes.spines[:].set_visible(False)
