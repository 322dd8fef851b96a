"""A result in words, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from canthus.bench.baseline import Row
from canthus.bench.content import PACKET_US
from canthus.bench.histogram import needed
from canthus.bench.result import PERCENTILES, Result, percentile_name
from canthus.bench.watch import OWN_MEMORY

STAGES = {
    "pushed late": "until it was in the stream: the pushing program's own delay",
    "waiting": f"for its events, in packets of {PACKET_US // 1000} ms, and for the work on the frame before",
    "accumulate": "events into an image",
    "resize": "both images to the engine's size",
    "react": "the network, for the answer",
    "prime": "the network, for later answers; after the answer has gone out",
}
"""What each stage is."""


def summary(result: Result) -> str:
    """All figures, and what they mean."""
    return "\n".join(_lines(result))


def load(settings: dict[str, Any]) -> str:
    """What was pushed."""
    frames, events = f"{settings['frames_per_second']:g} frames", f"{settings['events_per_second']:,} events"
    pace = f"{frames} and {events} a second" + (f", at {settings['speed']:g} times" if settings["speed"] != 1 else "")
    if settings["mode"] == "flat out":
        pace = f"as fast as answers come, {events} for every {frames}"
    faults = f"; with faults: {', '.join(settings['faults'])}" if settings["faults"] else ""
    return f"{pace}; {settings['content']}; {settings['seconds']:g} s; {settings['threads']} threads{faults}"


def compared(rows: list[Row], most: float) -> str:
    """The figures before and now."""
    lines = [f"{'':20} {'before':>12} {'now':>12} {'change':>8}"]
    for row in rows:
        change = "" if row.change is None else f"{row.change:+.0%}"
        verdict = f"  WORSE by more than {most:.0%}" if row.worse else ""
        before, now = shown(row, row.before), shown(row, row.now)
        lines.append(f"{row.figure.title:20} {before:>12} {now:>12} {change:>8}{verdict}")
    return "\n".join(lines)


def shown(row: Row, value: float | None) -> str:
    """A figure with its unit."""
    return "–" if value is None else f"{value / row.figure.scale:.2f} {row.figure.unit}".rstrip()


def milliseconds(us: float | None) -> str:
    """Of microseconds."""
    return "–" if us is None else f"{us / 1000:.2f} ms"


def too_few(settings: dict[str, Any], percent: float) -> str:
    """How long a run must be for a percentile."""
    seconds = needed(percent) / settings["frames_per_second"] / settings["speed"]
    length = "" if settings["mode"] == "flat out" else f", {seconds / 60:.1f} minutes"
    return f"needs {needed(percent):,} frames{length}"


def _lines(result: Result) -> Iterator[str]:
    settings, figures = result.settings, result.figures
    frames = int(figures["frames"] or 0)
    yield load(settings)
    yield ""
    if settings["mode"] == "flat out":
        yield f"{figures['answers_per_second']:.1f} answers a second"
        yield f"service time of {frames:,} frames, from the push to the answer; in use, frames come when they come:"
    else:
        yield f"latency of {frames:,} frames, from when each was due to the first answer for it or a newer one:"
    for percent in PERCENTILES:
        found = figures[percentile_name(percent)]
        yield f"  p{percent:<10g} {too_few(settings, percent) if found is None else milliseconds(found):>10}"
    yield f"  {'longest':<11} {milliseconds(figures['latency_max_us']):>10}"
    jitter = figures["jitter_p99_p50_us"]
    between = "" if jitter is None else f"; p99 - p50 {milliseconds(jitter)}"
    yield f"  {'jitter':<11} {milliseconds(figures['jitter_deviation_us']):>10} standard deviation{between}"
    yield (
        f"missed: {int(figures['missed_frames'] or 0):,} of {frames:,} had no answer of their own within "
        f"{settings['deadline_us'] / 1000:g} ms"
    )
    yield ""
    yield f"{'stage':<13} {'median':>10} {'p99':>10}"
    for name, stage in result.stages.items():
        yield f"{name:<13} {milliseconds(stage.median_us):>10} {milliseconds(stage.p99_us):>10}  {STAGES[name]}"
    yield ""
    yield (
        f"CPU     {figures['cpu_percent']:.0f} % of one core, of which pushing takes "
        f"{figures['cpu_pushing_percent']:.0f}; {milliseconds(figures['cpu_per_frame_us'])} a frame"
    )
    for name, course in result.courses.items():
        title, _, unit = name.rpartition("_")
        scale, unit = (1e6, "MB") if unit == "bytes" else (1.0, unit)
        low, mean, high = (value / scale for value in (course.low, course.mean, course.high))
        growth = figures["memory_growth_bytes"] if name == OWN_MEMORY else None
        grew = "" if growth is None else f", {growth / 1e6:+.2f} MB after the first minute"
        yield f"{title.replace('_', ' ')} {mean:.1f} {unit}, {low:.1f} to {high:.1f}{grew}"
    for name, ledger in result.ledgers.items():
        yield f"{name:<7} {ledger.came:,} came: {ledger.fates}"
    yield ""
    for check in result.checks:
        yield f"{'ok     ' if check.passed else 'FAILED '} {check.name}: {check.found}"
