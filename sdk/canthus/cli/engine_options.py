"""The options of every command that runs a bundle."""

from __future__ import annotations

import argparse
import sys

from canthus.backends import AUTO, BACKENDS
from canthus.engine import Engine


def add_engine_options(parser: argparse.ArgumentParser) -> None:
    """Adds --backend and --threads."""
    parser.add_argument(
        "--backend",
        choices=BACKENDS,
        default=AUTO,
        help="that runs the network (default: auto, the fastest of those installed that answer as they should)",
    )
    parser.add_argument("--threads", type=int, default=2, help="that the engine may use (default: 2)")


def tell_backend(engine: Engine) -> None:
    """On stderr: which backend answers, and why no other."""
    print(f"{engine.backend}: {engine.why}", file=sys.stderr, flush=True)
