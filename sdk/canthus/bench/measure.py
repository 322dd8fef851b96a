"""One measurement, from the load to the figures."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import canthus
from canthus.bench.checks import checks
from canthus.bench.content import Loop, made_up, recorded
from canthus.bench.machine import machine, versions
from canthus.bench.pace import push_as_answers_come, push_on_time
from canthus.bench.reference import Reference
from canthus.bench.result import Result, Stage, latency_figures, memory_figures
from canthus.bench.settings import Settings
from canthus.bench.tally import Snapshot, Tally
from canthus.bench.watch import Watch
from canthus.engine import Engine
from canthus.live.stream import LiveStream
from canthus.sources.faulty import FaultySource
from canthus.view import View

_SOON_NS = 20_000_000
_DRAIN_SECONDS = 1.0

Progress = Callable[[float, float, Snapshot], None]
"""Called once a second with the seconds since the start, the seconds it will take, and how it stands."""


class Cost(NamedTuple):
    """Of the measured time."""

    seconds: float
    cpu_seconds: float
    pushing_seconds: float  # of the processor, of this measurement's own


def measure(
    bundle: Path | str,
    settings: Settings | None = None,
    recording: Path | str | None = None,
    progress: Progress | None = None,
    view: View | None = None,
) -> Result:
    """Push frames and events into a `LiveStream` as a camera does, and measure when its answers come.

    Args:
        bundle: a `.canthus` file.
        settings: the load; None is that of `Settings()`.
        recording: an AEDAT4 recording or SEE sequence folder to push, over and over; None: made-up content.
        progress: is told how it goes.
        view: how the camera is mounted; None is `View()`.

    Raises:
        Error: the bundle or recording can't be read, or the settings make no sense.
    """
    settings = settings or Settings()
    engine = canthus.load(bundle, threads=settings.threads)
    loop = made_up(settings, view) if recording is None else recorded(recording, view=view)
    return measure_engine(engine, settings, loop, progress)


def measure_engine(engine: Engine, settings: Settings, loop: Loop, progress: Progress | None = None) -> Result:
    """As `measure`, of a loaded engine and prepared content."""
    reference = Reference(engine, loop)
    warm_up_us = max(1_000_000, 2 * engine.span_us)
    start_ns = time.monotonic_ns() + _SOON_NS
    begin_ns = start_ns + round(warm_up_us * 1000 / settings.speed)
    end_ns = begin_ns + round(settings.seconds * 1e9)
    tally = Tally(begin_ns, end_ns, settings.deadline_us, None if settings.faults else reference)
    arrivals = FaultySource(loop, settings.faults, settings.seed).arrivals()

    def take(expression: canthus.Expression) -> None:
        tally.answer(expression, live.costs_us, time.monotonic_ns())

    total_seconds = (end_ns - start_ns) / 1e9
    tell = None if progress is None else lambda seconds: progress(seconds, total_seconds, tally.snapshot())
    live = LiveStream(engine, loop.sensor, loop.view, on_expression=take, deadline_us=settings.deadline_us)
    with live, Watch(total_seconds, tell) as watch:
        begun = time.process_time(), time.thread_time()
        if settings.flat_out:
            push_as_answers_come(arrivals, live, tally, end_ns)
        else:
            push_on_time(arrivals, live, tally, start_ns, end_ns, settings.speed)
        cost = Cost(total_seconds, time.process_time() - begun[0], time.thread_time() - begun[1])
        live.drain(_DRAIN_SECONDS)
        tally.close(time.monotonic_ns())
    return _result(engine, settings, loop, tally, watch, live, cost)


def conditions(settings: Settings, loop: Loop) -> dict[str, Any]:
    """The load and the machine: what must be alike to compare two results."""
    return {
        "mode": settings.mode,
        "content": loop.name,
        "frames_per_second": round(loop.frames_per_second, 3),
        "events_per_second": round(loop.events_per_second),
        "seconds": settings.seconds,
        "speed": settings.speed,
        "deadline_us": settings.deadline_us,
        "threads": settings.threads,
        "faults": list(settings.faults),
        **machine(),
    }


def _result(
    engine: Engine, settings: Settings, loop: Loop, tally: Tally, watch: Watch, live: LiveStream, cost: Cost
) -> Result:
    health, courses, growth = live.health, watch.courses(), watch.memory_growth()
    return Result(
        settings=conditions(settings, loop),
        versions={"bundle": _digest(engine), **versions(engine.backend)},
        figures={
            **latency_figures(tally.latencies),
            "frames": float(tally.frames),
            "missed_frames": float(tally.unanswered + tally.late),
            "missed_share": (tally.unanswered + tally.late) / max(tally.frames, 1),
            "answers_per_second": (tally.frames - tally.unanswered) / settings.seconds,
            "cpu_percent": 100 * cost.cpu_seconds / cost.seconds,
            "cpu_pushing_percent": 100 * cost.pushing_seconds / cost.seconds,
            "cpu_per_frame_us": 1e6 * cost.cpu_seconds / max(tally.pushed_frames, 1),
            **memory_figures(courses, growth),
        },
        stages={
            name: Stage(median, stage.percentile(99))
            for name, stage in tally.stages.items()
            if (median := stage.quantile(0.5)) is not None
        },
        ledgers={"frames": health.frames, "packets": health.packets, "events": health.events},
        latencies=list(tally.latencies.buckets()),
        slices=tally.slices,
        courses=courses,
        checks=checks(settings, tally, health, growth),
    )


def _digest(engine: Engine) -> str:
    """Tells bundles apart: of their members' hashes."""
    members = engine.manifest.sha256
    return hashlib.sha256("".join(members[name] for name in sorted(members)).encode()).hexdigest()[:16]
