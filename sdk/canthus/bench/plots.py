"""Plain plots as SVG, in the colours of the page that they are on."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

WIDTH, HEIGHT = 760, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 14, 14, 40

STYLE = """
:root { --first: #2f86c9; --second: #d96a10 }
svg text { font: 12px system-ui, sans-serif; fill: var(--ink) } svg .grid { stroke: var(--faint) }
svg .mark { stroke: var(--ink); stroke-dasharray: 4 3 } svg .first { fill: var(--first) }
svg .second { fill: var(--second) } svg polyline { fill: none !important; stroke-width: 1.6 }
svg polyline.first { stroke: var(--first) } svg polyline.second { stroke: var(--second) }
"""


class Axis(NamedTuple):
    """One direction of a plot, in the values' own unit."""

    label: str
    low: float
    high: float
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """Of a value, 0 at the low end and 1 at the high one."""
        low, high, value = map(self._scaled, (self.low, self.high, value))
        return min(max((value - low) / ((high - low) or 1), 0.0), 1.0)

    def ticks(self) -> list[float]:
        """A handful of round values."""
        if self.logarithmic:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            steps = (1, 2, 5) if self.high / self.low < 2000 else (1,)
            ticks = [step * 10.0**power for power in powers for step in steps]
        else:
            rough = (self.high - self.low) / 5 or 1
            power = 10.0 ** math.floor(math.log10(rough))
            step = next(s * power for s in (1, 2, 5, 10) if s * power >= rough * 0.999)
            ticks = [i * step for i in range(math.ceil(self.low / step), math.floor(self.high / step + 1e-9) + 1)]
        return [tick for tick in ticks if self.low <= tick * 1.0001 and tick <= self.high * 1.0001]

    def _scaled(self, value: float) -> float:
        return math.log10(max(value, self.low)) if self.logarithmic else value


Place = Callable[[float], float]
"""Where a value is, in pixels from the left or from the top."""

Line = tuple[str, Sequence[float], Sequence[float]]
"""Its class in STYLE, `first` or `second`; its x and its y."""


def lines(title: str, x: Axis, y: Axis, curves: Sequence[Line]) -> str:
    """Curves over the same axes."""

    def draw(right: Place, down: Place) -> str:
        shapes = []
        for name, xs, ys in curves:
            points = " ".join(f"{right(a):.1f},{down(b):.1f}" for a, b in zip(xs, ys, strict=True))
            shapes.append(f'<polyline class="{name}" points="{points}"/>')
        return "".join(shapes)

    return _plot(title, x, y, draw)


def histogram(
    title: str, x: Axis, y: Axis, bars: Sequence[tuple[float, float, int]], marks: Sequence[tuple[str, float]]
) -> str:
    """Bars (from, to, count), and vertical lines with a name."""

    def draw(right: Place, down: Place) -> str:
        bottom = down(y.low)
        shapes = [
            f'<rect class="first" x="{right(low):.1f}" y="{down(count):.1f}" '
            f'width="{max(right(high) - right(low) - 0.5, 0.8):.1f}" height="{max(bottom - down(count), 1):.1f}">'
            f"<title>{low:.3g} to {high:.3g}: {count:,}</title></rect>"
            for low, high, count in bars
        ]
        taken = [-math.inf] * 4  # until where each row of names is written
        for name, value in marks:
            place = right(value)
            begin = min(place + 4, WIDTH - _RIGHT - 6.5 * len(name))
            row = next((i for i, end in enumerate(taken) if end < begin), 0)
            taken[row] = begin + 7 * len(name)
            height = _TOP + 11 + 14 * row
            shapes.append(f'<line class="mark" x1="{place:.1f}" x2="{place:.1f}" y1="{_TOP}" y2="{bottom:.1f}"/>')
            shapes.append(f'<text x="{begin:.1f}" y="{height}">{html.escape(name)}</text>')
        return "".join(shapes)

    return _plot(title, x, y, draw)


def bar(median: float, p99: float | None, most: float, width: int = 320) -> str:
    """A median as a bar, and a thin one until the 99th percentile."""
    scale = (width - 2) / (most or 1)
    thin = "" if p99 is None else f'<rect class="second" x="0" y="6" width="{p99 * scale:.1f}" height="3"/>'
    title = f"<title>median {median / 1000:.2f} ms</title>"
    thick = f'<rect class="first" x="0" y="1" width="{max(median * scale, 1):.1f}" height="13"/>'
    return f'<svg width="{width}" height="15" role="img">{title}{thick}{thin}</svg>'


def _plot(title: str, x: Axis, y: Axis, draw: Callable[[Place, Place], str]) -> str:
    def right(value: float) -> float:
        return _LEFT + x.place(value) * (WIDTH - _LEFT - _RIGHT)

    def down(value: float) -> float:
        return HEIGHT - _BOTTOM - y.place(value) * (HEIGHT - _TOP - _BOTTOM)

    shapes = [f"<title>{html.escape(title)}</title>"]
    for tick in y.ticks():
        at = down(tick)
        shapes.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        shapes.append(f'<text x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{tick:,.6g}</text>')
    for tick in x.ticks():
        at = right(tick)
        shapes.append(f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{HEIGHT - _BOTTOM}"/>')
        shapes.append(f'<text x="{at:.1f}" y="{HEIGHT - _BOTTOM + 16}" text-anchor="middle">{tick:,.6g}</text>')
    middle = (_TOP + HEIGHT - _BOTTOM) / 2
    shapes.append(
        f'<text x="{(_LEFT + WIDTH - _RIGHT) / 2}" y="{HEIGHT - 6}" text-anchor="middle">{html.escape(x.label)}</text>'
        f'<text transform="translate(13 {middle}) rotate(-90)" text-anchor="middle">{html.escape(y.label)}</text>'
    )
    shapes.append(draw(right, down))
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" style="max-width:{WIDTH}px" role="img">{"".join(shapes)}</svg>'
