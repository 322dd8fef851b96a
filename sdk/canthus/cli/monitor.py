"""`canthus monitor`."""

from __future__ import annotations

import argparse
import contextlib
import sys
import threading
from dataclasses import replace
from pathlib import Path

import canthus
from canthus.cli.camera_options import add_camera_options, view_of
from canthus.cli.engine_options import add_engine_options, tell_backend
from canthus.engine import Engine
from canthus.errors import SourceError, ViewError
from canthus.monitor.monitor import Monitor
from canthus.monitor.repeated import Repeated
from canthus.monitor.server import PageServer
from canthus.monitor.setup import SetUp
from canthus.sources import Source


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = (
        "Watch a live stream on a web page: the eye and event images, the expression and all probabilities\n"
        "over time, latency, and what became of every frame and event. A recording plays in real time, from\n"
        "when the page is first opened. Nothing is stored.\n"
        "With --setup, the page shows the camera's picture instead: drag the part that shows the eye, turn and\n"
        "mirror it, and save that to a file for --view. The file holds these numbers, and no picture."
    )
    parser.epilog = (
        "examples:\n"
        "  canthus monitor eye.canthus recording.aedat4\n"
        "  canthus monitor eye.canthus recording.aedat4 --host 0.0.0.0   a phone can watch: by the printed address\n"
        "  canthus monitor eye.canthus camera --setup eye.yaml           say how the camera is mounted, by hand\n"
        "\n"
        "Only this machine can open the page, unless --host says otherwise: then everyone who has the printed\n"
        "address with its token can, and what they see goes over the network unencrypted. Where that isn't\n"
        "wanted, leave --host out and tunnel: ssh -L 8765:127.0.0.1:8765 DEVICE."
    )
    parser.add_argument("bundle", help="a .canthus file")
    parser.add_argument(
        "source", help="an AEDAT4 recording, a SEE sequence folder, camera, or tcp://HOST:PORT,PORT; see canthus run -h"
    )
    parser.add_argument("--loop", action="store_true", help="begin a recording again at its end")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (default: this machine only)")
    parser.add_argument("--port", type=int, default=8765, help="to listen at; 0 for a free one (default: 8765)")
    parser.add_argument(
        "--setup", type=Path, metavar="FILE", help="set up how the camera is mounted, and write it there"
    )
    add_camera_options(parser)
    add_engine_options(parser)


def run(arguments: argparse.Namespace) -> int:
    if arguments.setup is not None and arguments.view is None and arguments.setup.exists():
        arguments.view = arguments.setup  # goes on from what is there
    view = view_of(arguments)
    engine = canthus.load(arguments.bundle, arguments.backend, arguments.threads)
    title = f"{Path(arguments.bundle).name} on {Path(arguments.source).name}"
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(canthus.open(arguments.source, camera=arguments.camera, view=view))
        setup = None if arguments.setup is None else _setup(arguments.setup, source, engine)
        watched = _repeated(source) if arguments.loop else source
        monitor = stack.enter_context(Monitor(engine, watched, title))
        server = stack.enter_context(PageServer(monitor, arguments.host, arguments.port, setup))
        tell_backend(engine)
        print(f"{title}: open {server.url}", flush=True)
        if arguments.setup is not None:
            print(f"Set up there how the camera is mounted; {arguments.setup} is written when you save.", flush=True)
        if not source.is_live:
            print("The recording begins when the page is opened. Ctrl-C ends.", flush=True)
        try:
            monitor.over.wait()
            if monitor.failure is not None:
                print(f"canthus: error: {monitor.failure}", file=sys.stderr, flush=True)
            threading.Event().wait()  # the page goes on showing how it ended
        except KeyboardInterrupt:
            if monitor.failure is None:
                raise
    return 2


def _setup(path: Path, source: Source, engine: Engine) -> SetUp:
    try:
        source.view.region(source.sensor, engine.image_size)
    except ViewError as error:  # made for another camera: that is what is to be set up
        print(f"canthus: {error}; begins with the middle", file=sys.stderr)
        source.view = replace(source.view, roi=None)
    return SetUp(path, source.view, source.sensor, engine.image_size)


def _repeated(source: Source) -> Repeated:
    if source.is_live:
        raise SourceError("a camera doesn't end: leave out --loop, which is for recordings")
    return Repeated(source)
