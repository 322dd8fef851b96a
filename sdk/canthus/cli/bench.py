"""`canthus bench`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import canthus
from canthus.bench.baseline import changed_versions, check_alike, compare, read_baseline
from canthus.bench.content import made_up, recorded
from canthus.bench.measure import Progress, conditions, measure_engine
from canthus.bench.report import page
from canthus.bench.settings import Settings, parse_duration, parse_percent
from canthus.bench.summary import compared, load, milliseconds, summary
from canthus.bench.tally import Snapshot
from canthus.cli.camera_options import add_camera_options, view_of
from canthus.cli.engine_options import add_engine_options, tell_backend
from canthus.errors import BenchError
from canthus.sources.faulty import FAULTS
from canthus.whole_file import whole_file

_USUAL = Settings()
_LINE_SECONDS = 60
_REWRITE = "\r\x1b[K"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Measure how fast and how steadily a live stream answers on this device: frames and events are pushed as a "
        "camera gives them, and each latency counts from when its frame was due. Exit status 1 if it is worse than "
        "the baseline, or a check fails."
    )
    parser.epilog = (
        "example: canthus bench eye.canthus --fps 30 --duration 60s --json now.json --report latency.html --baseline "
        "last_week.json. Nothing of a recording is stored, nor who or where the machine is."
    )
    parser.add_argument("bundle", help="a .canthus file")
    parser.add_argument(
        "recording", nargs="?", help="AEDAT4 or SEE sequence to push, its first 10 s over and over (default: noise)"
    )
    parser.add_argument("--fps", type=float, help=f"frames per second (default: {_USUAL.frames_per_second:g})")
    parser.add_argument("--events-per-second", type=float, help=f"(default: {_USUAL.events_per_second:g})")
    parser.add_argument("--duration", help="to measure for, as 90s, 10m or 1h (default: 60s)")
    parser.add_argument("--soak", metavar="DURATION", help="as --duration, and check memory and drift")
    parser.add_argument("--speed", type=float, default=1.0, help="times real time (default: 1)")
    parser.add_argument("--flat-out", action="store_true", help="push each frame when the one before has its answer")
    every = ",".join(FAULTS)
    parser.add_argument("--faults", nargs="?", const=every, metavar="KINDS", help=f"put in, of {every} (default: all)")
    parser.add_argument("--deadline", default="100ms", help="a later answer is a miss (default: 100ms)")
    add_camera_options(parser)
    add_engine_options(parser)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures; a later run's baseline")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write a page with plots (HTML)")
    parser.add_argument("--baseline", type=Path, metavar="FILE", help="an earlier --json to compare with")
    parser.add_argument("--max-regression", default="10%", help="by which a figure may be worse (default: 10%%)")


def run(arguments: argparse.Namespace) -> int:
    settings = _settings(arguments)
    most = parse_percent(arguments.max_regression)
    view = view_of(arguments)
    for path in (arguments.json, arguments.report):
        _check_writable(path)
    baseline = None if arguments.baseline is None else read_baseline(arguments.baseline)
    engine = canthus.load(arguments.bundle, arguments.backend, settings.threads)
    loop = (
        made_up(settings, view)
        if arguments.recording is None
        else recorded(arguments.recording, arguments.camera, view)
    )
    if baseline is not None:
        check_alike(conditions(settings, loop), baseline)

    tell_backend(engine)
    print(f"measuring {load(conditions(settings, loop))}", file=sys.stderr, flush=True)
    with _progress() as progress:
        result = measure_engine(engine, settings, loop, progress)

    print(summary(result))
    rows, changed = [], []
    if baseline is not None:
        rows, changed = compare(result.figures, baseline, most), changed_versions(result.versions, baseline)
        print(f"\nagainst {arguments.baseline}\n{compared(rows, most)}")
        for text in changed:
            print(f"note: {text}")
    if arguments.json:
        _write(arguments.json, json.dumps(result.to_json(), indent=1))
    if arguments.report:
        _write(arguments.report, page(result, rows, changed))
    return int(not result.passed or any(row.worse for row in rows))


def _settings(arguments: argparse.Namespace) -> Settings:
    if arguments.recording and (arguments.fps is not None or arguments.events_per_second is not None):
        raise BenchError("a recording has its own frames and events a second; leave --fps and --events-per-second away")
    if arguments.soak and arguments.duration:
        raise BenchError("--soak says how long, too; leave --duration away")
    return Settings(
        frames_per_second=_USUAL.frames_per_second if arguments.fps is None else arguments.fps,
        events_per_second=(
            _USUAL.events_per_second if arguments.events_per_second is None else arguments.events_per_second
        ),
        seconds=parse_duration(arguments.soak or arguments.duration or f"{_USUAL.seconds:g}s"),
        speed=arguments.speed,
        flat_out=arguments.flat_out,
        soak=arguments.soak is not None,
        deadline_us=round(1e6 * parse_duration(arguments.deadline)),
        threads=arguments.threads,
        faults=tuple(filter(None, (kind.strip() for kind in (arguments.faults or "").split(",")))),
    )


def _check_writable(path: Path | None) -> None:
    """Now, not after an hour."""
    if path is not None and (path.is_dir() or not os.access(path.parent, os.W_OK)):
        raise BenchError(f"{path}: can't be written there; choose another file in a folder that there is")


def _write(path: Path, text: str) -> None:
    try:
        with whole_file(path) as partial:
            partial.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BenchError(f"{path}: can't be written ({error.strerror}); choose another file") from error


@contextmanager
def _progress() -> Iterator[Progress]:
    """A line that is rewritten on a terminal, one a minute elsewhere."""
    on_terminal = sys.stderr.isatty()
    told = 0

    def tell(seconds: float, total: float, so_far: Snapshot) -> None:
        nonlocal told
        line = (
            f"{seconds:.0f} of {total:.0f} s: {so_far.frames:,} frames, p50 {milliseconds(so_far.median_us)}, "
            f"p99 {milliseconds(so_far.p99_us)}, {so_far.missed:,} missed"
        )
        if on_terminal:
            print(f"{_REWRITE}{line}", end="", file=sys.stderr, flush=True)
        elif seconds >= told + _LINE_SECONDS:
            told += _LINE_SECONDS
            print(line, file=sys.stderr, flush=True)

    try:
        yield tell
    finally:
        if on_terminal:
            print(_REWRITE, end="", file=sys.stderr, flush=True)
