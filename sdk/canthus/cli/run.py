"""`canthus run`."""

from __future__ import annotations

import argparse
import json
import sys
import threading
from collections.abc import Generator
from contextlib import closing

import numpy as np

import canthus
from canthus.cli.engine_options import add_engine_options, tell_backend
from canthus.engine import Engine
from canthus.expression import Expression
from canthus.live.feed import feed
from canthus.live.health import Health
from canthus.sources import Source


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = "Read expressions from a recording or a camera: one line each, latencies at the end."
    parser.epilog = (
        "example: canthus run eye.canthus recording.aedat4, or canthus run eye.canthus camera. Nothing is stored."
    )
    parser.add_argument("bundle", help="a .canthus file")
    parser.add_argument(
        "source",
        help="an AEDAT4 recording; a SEE sequence folder (SEE/frame/LABEL/NAME); camera: iniVation's on USB, until "
        "Ctrl-C; or tcp://HOST:PORT,PORT: the events' and the frames' stream of dv-processing",
    )
    parser.add_argument("--json", action="store_true", help="for machines: one JSON object per line")
    add_engine_options(parser)


def run(arguments: argparse.Namespace) -> int:
    engine = canthus.load(arguments.bundle, arguments.backend, arguments.threads)
    latencies = []
    with canthus.open(arguments.source) as source:
        tell_backend(engine)
        watch = _watch_live if source.is_live else canthus.watch
        try:
            with closing(watch(engine, source)) as expressions:
                for expression in expressions:
                    latencies.append(expression.latency_us)
                    print(_as_json(expression) if arguments.json else _as_line(expression), flush=True)
        finally:
            print(_summary(latencies, engine.span_us), file=sys.stderr)
    return 0


def _watch_live(engine: Engine, source: Source) -> Generator[Expression]:
    """The answers of a camera until Ctrl-C; then what became of all that came."""
    stop, failed = threading.Event(), []
    live = canthus.LiveStream(engine, source.sensor)

    def feed_it() -> None:
        try:
            feed(source, live, stop)
        except canthus.Error as error:
            failed.append(error)
        live.close()

    feeder = threading.Thread(target=feed_it, daemon=True)
    feeder.start()
    try:
        yield from live
    finally:
        stop.set()
        live.close()
        print(_as_ledger(live.health), file=sys.stderr)
    if failed:
        raise failed[0]


def _as_ledger(health: Health) -> str:
    ledgers = {"frames": health.frames, "packets": health.packets, "events": health.events}
    return "\n".join(f"{ledger.came:,} {name} came: {ledger.fates}" for name, ledger in ledgers.items())


def _as_line(expression: Expression) -> str:
    probability = float(expression.probabilities.max())
    bar = "█" * round(20 * probability)
    missing = f"  missing: {', '.join(expression.missing)}" if expression.missing else ""
    return (
        f"{expression.time_us / 1e6:12.3f} s  {expression.label:<10} {probability:4.0%} {bar:<20} "
        f"{expression.latency_us / 1000:6.1f} ms{missing}"
    )


def _as_json(expression: Expression) -> str:
    probabilities = (round(float(p), 6) for p in expression.probabilities)
    return json.dumps(
        {
            "time_us": expression.time_us,
            "label": expression.label,
            "probabilities": dict(zip(expression.labels, probabilities, strict=True)),
            "experts": expression.experts,
            "latency_us": expression.latency_us,
            "missing": expression.missing,
        }
    )


def _summary(latencies: list[int], span_us: int) -> str:
    if not latencies:
        return f"no expressions: one needs {span_us / 1e6:g} s of frames and events before it"
    p50, p90, p99 = np.percentile(latencies, [50, 90, 99]) / 1000
    return (
        f"{len(latencies)} expressions; frame to answer p50 {p50:.1f} ms, p90 {p90:.1f} ms, p99 {p99:.1f} ms, "
        f"max {max(latencies) / 1000:.1f} ms"
    )
