"""`canthus run`."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import closing
from dataclasses import asdict

import numpy as np

import canthus
from canthus.cli.camera_options import add_camera_options, view_of
from canthus.cli.engine_options import add_engine_options, tell_backend
from canthus.episodes import Episode
from canthus.errors import SourceError
from canthus.expression import Expression
from canthus.live.health import Health
from canthus.sources.choose_camera import shown
from canthus.sources.watch import Watching


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Read expressions from a recording or a camera: one line each, latencies at the end. What is damaged is passed "
        "over and counted; the counts are told at the end, if there are any."
    )
    parser.epilog = (
        "example: canthus run eye.canthus recording.aedat4, or canthus run eye.canthus camera. Nothing is stored."
    )
    parser.add_argument("bundle", help="a .canthus file")
    parser.add_argument(
        "source",
        help="an AEDAT4 recording; a SEE sequence folder (SEE/frame/LABEL/NAME); camera: iniVation's on USB, until "
        "Ctrl-C; or tcp://HOST:PORT,PORT: the events' and the frames' stream of dv-processing",
    )
    add_camera_options(parser)
    parser.add_argument("--json", action="store_true", help="for machines: one JSON object per line")
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--changes",
        action="store_true",
        help="not every answer, but those with which what is steady changes, and else one a second",
    )
    which.add_argument(
        "--episodes",
        action="store_true",
        help="not every answer, but when an expression began and when it ended, by the sensor's clock",
    )
    add_engine_options(parser)


def run(arguments: argparse.Namespace) -> int:
    view = view_of(arguments)
    engine = canthus.load(arguments.bundle, arguments.backend, arguments.threads)
    latencies, told_last = [], None
    with canthus.open(arguments.source, camera=arguments.camera, view=view) as source:
        tell_backend(engine)
        if camera := getattr(source, "camera", None):
            print(f"camera {shown(camera)}", file=sys.stderr)
        watching = canthus.watch(engine, source)
        try:
            with closing(watching):
                for expression in watching:
                    latencies.append(expression.latency_us)
                    if arguments.episodes:
                        _print_episodes(watching, arguments)
                    elif not arguments.changes or _tells_more(expression, told_last):
                        print(_as_json(expression) if arguments.json else _as_line(expression), flush=True)
                        told_last = expression
                if arguments.episodes:
                    _print_episodes(watching, arguments)
        finally:
            told = (_as_ledger(watching.health, every=source.is_live), _summary(latencies) if latencies else "")
            for text in filter(None, told):
                print(text, file=sys.stderr)
    if not latencies:
        raise SourceError(f"{arguments.source}: no expressions: {watching.why_no_answers}")
    return 0


def _tells_more(expression: Expression, last: Expression | None) -> bool:
    """Whether an answer is another than the last that was told, or a second later."""
    return (
        last is None
        or (expression.steady, expression.unsure) != (last.steady, last.unsure)
        or not 0 <= expression.time_us - last.time_us < 1_000_000
    )


def _as_ledger(health: Health, *, every: bool) -> str:
    """What became of all that came; unless `every` is asked for, only of what wasn't all used."""
    ledgers = {"frames": health.frames, "packets": health.packets, "events": health.events}
    return "\n".join(
        f"{ledger.came:,} {name} came: {ledger.fates}"
        for name, ledger in ledgers.items()
        if every or set(ledger.ended) - {"answered", "warming up", "taken"}
    )


def _print_episodes(watching: Watching, arguments: argparse.Namespace) -> None:
    """A line for each that has ended, and for people one when it begins."""
    for episode in watching.take_episodes():
        if not arguments.json:
            print(_episode_as_line(episode), flush=True)
        elif episode.offset_us is not None:
            print(json.dumps(asdict(episode)), flush=True)


def _episode_as_line(episode: Episode) -> str:
    at_us = episode.onset_us if episode.offset_us is None else episode.offset_us
    told = f"{at_us / 1e6:12.3f} s  {episode.label:<10} "
    if episode.offset_us is None:
        return f"{told}began"
    lasted = (episode.offset_us - episode.onset_us) / 1e6
    return f"{told}ended, after {lasted:.2f} s; probability {episode.mean:.0%} in the mean, {episode.peak:.0%} at most"


def _as_line(expression: Expression) -> str:
    confidence = expression.confidence or 0.0
    bar = "█" * round(20 * confidence)
    notes = [f"unsure: {expression.unsure}"] if expression.unsure else []
    if expression.label != expression.steady:
        notes.append(f"of this moment alone: {expression.label} {expression.probabilities.max():.0%}")
    if expression.missing:
        notes.append(f"missing: {', '.join(expression.missing)}")
    return (
        f"{expression.time_us / 1e6:12.3f} s  {expression.steady:<10} {confidence:4.0%} {bar:<20} "
        f"{expression.latency_us / 1000:6.1f} ms  {'; '.join(notes)}"
    ).rstrip()


def _as_json(expression: Expression) -> str:
    probabilities = (round(float(p), 6) for p in expression.probabilities)
    return json.dumps(
        {
            "time_us": expression.time_us,
            "steady": expression.steady,
            "confidence": round(expression.confidence or 0.0, 6),
            "unsure": expression.unsure,
            "label": expression.label,
            "probabilities": dict(zip(expression.labels, probabilities, strict=True)),
            "experts": expression.experts,
            "latency_us": expression.latency_us,
            "missing": expression.missing,
        }
    )


def _summary(latencies: list[int]) -> str:
    p50, p90, p99 = np.percentile(latencies, [50, 90, 99]) / 1000
    return (
        f"{len(latencies)} expressions; frame to answer p50 {p50:.1f} ms, p90 {p90:.1f} ms, p99 {p99:.1f} ms, "
        f"max {max(latencies) / 1000:.1f} ms"
    )
