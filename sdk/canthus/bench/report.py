"""A result as a page to look at. No scripts."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from canthus.bench.baseline import Row
from canthus.bench.plots import STYLE as PLOTS
from canthus.bench.plots import Axis, bar, histogram, lines
from canthus.bench.result import PERCENTILES, Result, percentile_name
from canthus.bench.summary import STAGES, load, milliseconds, shown, too_few
from canthus.bench.watch import Course
from canthus.page import DARK, STYLE, document

_OWN_STYLE = """
.cards { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1rem 0 }
.cards div { border: 1px solid var(--faint); border-radius: 6px; padding: .5rem .9rem; min-width: 6rem }
.cards b { display: block; font-size: 1.5rem; white-space: nowrap } .cards small { opacity: .8 }
ul.checks { list-style: none; padding: 0 } h2 { margin: 2rem 0 .3rem }
td.words, th.words { text-align: left; white-space: normal } svg { width: 100% } td svg { width: auto }
"""
_BINS_PER_DECADE = 40


def page(result: Result, rows: list[Row], changed: list[str]) -> str:
    """The whole page; `rows` and `changed` against a baseline, empty without one."""
    flat_out = result.settings["mode"] == "flat out"
    what = "Service time" if flat_out else "Latency"
    meaning = (
        "From the push of a frame to its answer. Frames came as fast as answers; in use they come when they come."
        if flat_out
        else "From when each frame was due to the first answer for it or a newer one: a frame that got no answer of "
        "its own counts until the next, so leaving frames out makes nothing look faster."
    )
    body = f"""<h1>{what} on this device</h1>
<p>{html.escape(load(result.settings))}. {html.escape(", ".join(_device(result)))}.</p>
{_cards(result)}
{_checks(result)}
{_comparison(rows, changed)}
<h2>{what}</h2>
<p>{meaning} Counts are on a logarithmic scale.</p>
{_latencies(result)}
<h2>{what} over time</h2>
<p>{_key("first", "median")}{_key("second", "longest")} of each part of the run.</p>
{_over_time(result)}
<h2>What an answer's time goes into</h2>
<p>{_key("first", "median")}{_key("second", "99th percentile")}</p>
{_stages(result)}
<h2>Memory and device</h2>
{_courses(result)}
<h2>What became of everything</h2>
<p>Since the start, with the time to warm up.</p>
{_ledgers(result)}
<h2>Measured with</h2>
{_table([(name.replace("_", " "), _text(value)) for name, value in {**result.settings, **result.versions}.items()])}
"""
    return document(f"{what} on this device", body, STYLE + PLOTS + _OWN_STYLE + DARK)


def _device(result: Result) -> list[str]:
    settings = result.settings
    return [str(settings["processor"]), f"{settings['cores']} cores", f"bundle {result.versions['bundle']}"]


def _cards(result: Result) -> str:
    figures = result.figures
    cards = [
        (f"p{percent:g}", milliseconds(found), "")
        if (found := figures[percentile_name(percent)]) is not None
        else (f"p{percent:g}", "–", too_few(result.settings, percent))
        for percent in PERCENTILES
    ]
    cards.append(("longest", milliseconds(figures["latency_max_us"]), ""))
    cards.append(("jitter", milliseconds(figures["jitter_deviation_us"]), "standard deviation"))
    deadline = f"no answer of their own in {result.settings['deadline_us'] / 1000:g} ms"
    cards.append(("missed", f"{figures['missed_frames']:,.0f} of {figures['frames']:,.0f}", deadline))
    if result.settings["mode"] == "flat out":
        cards.insert(0, ("answers a second", f"{figures['answers_per_second']:.1f}", ""))
    cpu = f"{milliseconds(figures['cpu_per_frame_us'])} a frame"
    cards.append(("CPU", f"{figures['cpu_percent']:.0f} %", f"of one core; {cpu}"))
    shown = (f"<div><small>{name}</small><b>{value}</b><small>{note}</small></div>" for name, value, note in cards)
    return f'<div class="cards">{"".join(shown)}</div>'


def _checks(result: Result) -> str:
    items = (
        f"<li>{'✓' if check.passed else '<span class=missed>✗</span>'} <b>{html.escape(check.name)}</b>: "
        f"{html.escape(check.found)}"
        for check in result.checks
    )
    return f'<ul class="checks">{"".join(items)}</ul>'


def _comparison(rows: list[Row], changed: list[str]) -> str:
    if not rows:
        return ""
    cells = ["<tr><th>figure<th>before<th>now<th>change</tr>"]
    for row in rows:
        change = "" if row.change is None else f"{row.change:+.0%}"
        mark = ' class="missed"' if row.worse else ""
        before, now = shown(row, row.before), shown(row, row.now)
        cells.append(f"<tr><td>{row.figure.title}<td>{before}<td>{now}<td{mark}>{change}</tr>")
    notes = "".join(f'<p class="warning">{html.escape(text)}</p>' for text in changed)
    return f"<h2>Against the baseline</h2>{notes}<table>{''.join(cells)}</table>"


def _latencies(result: Result) -> str:
    if not result.latencies:
        return "<p>No frame was answered.</p>"
    bars = []
    for number, group in groupby(result.latencies, lambda b: math.floor(_BINS_PER_DECADE * math.log10(_middle(b)))):
        low, high = (10 ** (edge / _BINS_PER_DECADE) for edge in (number, number + 1))
        bars.append((low, high, sum(count for _, _, count in group)))
    marks = [(f"p{p:g}", us / 1000) for p in PERCENTILES if (us := result.figures[percentile_name(p)]) is not None]
    deadline = result.settings["deadline_us"] / 1000
    low, high = bars[0][0] / 1.3, bars[-1][1] * 1.3
    if deadline <= high:
        marks.append(("deadline", deadline))
    counts = Axis("frames", 0.7, 1.5 * max(count for _, _, count in bars), logarithmic=True)
    return histogram("frames by latency", Axis("milliseconds", low, high, logarithmic=True), counts, bars, marks)


def _middle(bucket: tuple[int, int, int]) -> float:
    """Of a bucket of the histogram, in milliseconds."""
    return max(bucket[0] + bucket[1] - 1, 1) / 2000


def _over_time(result: Result) -> str:
    if not result.slices:
        return "<p>No frame was answered.</p>"
    begins = [part.begin_s for part in result.slices]
    medians, worst = ([us / 1000 for us in column] for column in list(zip(*result.slices, strict=True))[1:])
    low, high = max(min(medians) / 1.3, 0.001), max(worst) * 1.3
    x = Axis("seconds", 0, result.settings["seconds"])
    y = Axis("milliseconds", low, high, logarithmic=True)
    return lines("latency over time", x, y, [("second", begins, worst), ("first", begins, medians)])


def _stages(result: Result) -> str:
    most = max((stage.p99_us or stage.median_us for stage in result.stages.values()), default=0.0)
    rows = ["<tr><th>stage<th>median<th>p99<th class=words><th class=words>what it is</tr>"]
    for name, stage in result.stages.items():
        picture = bar(stage.median_us, stage.p99_us, most)
        figures = f"<td>{milliseconds(stage.median_us)}<td>{milliseconds(stage.p99_us)}"
        rows.append(f"<tr><td>{name}{figures}<td>{picture}<td class=words>{STAGES[name]}</tr>")
    return f"<table>{''.join(rows)}</table>"


def _courses(result: Result) -> str:
    if not result.courses:
        return "<p>This platform tells nothing.</p>"
    return "".join(_course(name, course) for name, course in result.courses.items())


def _course(name: str, course: Course) -> str:
    title, _, unit = name.rpartition("_")
    scale, unit, least = (1e6, "MB", 4.0) if unit == "bytes" else (1.0, unit, 1.0)
    values = [value / scale for value in course.values]
    middle = (min(values) + max(values)) / 2
    half = max(max(values) - min(values), least) * 0.6
    x = Axis("seconds", 0, max(course.seconds[-1], 1))
    y = Axis(f"{title.replace('_', ' ')}, {unit}", middle - half, middle + half)
    return lines(name, x, y, [("first", course.seconds, values)])


def _ledgers(result: Result) -> str:
    reasons = list(dict.fromkeys(reason for ledger in result.ledgers.values() for reason in ledger.ended))
    rows = [f"<tr><th><th>came{''.join(f'<th>{html.escape(reason)}' for reason in reasons)}<th>waiting</tr>"]
    for name, ledger in result.ledgers.items():
        counts = "".join(f"<td>{ledger.ended[reason]:,}" if reason in ledger.ended else "<td>" for reason in reasons)
        rows.append(f"<tr><td>{name}<td>{ledger.came:,}{counts}<td>{ledger.waiting:,}</tr>")
    return f"<table>{''.join(rows)}</table>"


def _text(value: Any) -> str:
    return (", ".join(value) or "none") if isinstance(value, list) else str(value)


def _table(pairs: Sequence[tuple[str, str]]) -> str:
    rows = (f"<tr><td>{html.escape(name)}<td class=words>{html.escape(value)}</tr>" for name, value in pairs)
    return f"<table>{''.join(rows)}</table>"


def _key(name: str, text: str) -> str:
    return f'<span class="key" style="background:var(--{name})"></span>{text}'
