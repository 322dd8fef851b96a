"""`canthus verify`."""

from __future__ import annotations

import argparse

from canthus.backends import open_engine
from canthus.bundle import read_bundle
from canthus.cli.engine_options import add_engine_options
from canthus.verify import Golden, replay, tolerance


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Replay the golden vectors of a bundle on this machine and compare with what was answered when it was "
        "exported: by the checkpoint's own network, or of an INT8 bundle, by its INT8 graphs. Exit status 1 if they "
        "differ."
    )
    parser.add_argument("bundle", help="a .canthus file")
    add_engine_options(parser)


def run(arguments: argparse.Namespace) -> int:
    bundle = read_bundle(arguments.bundle)
    golden = Golden.from_bundle(bundle)
    engine = open_engine(bundle, arguments.backend, arguments.threads, check=False)
    difference = replay(engine, golden)
    int8 = bundle.manifest.precision == "int8"
    allowed = tolerance(bundle.manifest)
    same = difference <= allowed
    print(f"{engine.backend}: {engine.why}")
    print(
        f"{bundle.path}: {len(golden.logits)} golden windows on {engine.backend}: "
        + ("an answer's lead moves, in the worst light, by " if int8 else "largest logit difference ")
        + f"{difference:.1e}, allowed {allowed:.2g}"
    )
    reference = "exported INT8 network" if int8 else "checkpoint"
    print(
        f"ok: this machine computes what the {reference} computed"
        if same
        else f"FAILED: this machine does not compute what the {reference} computed; don't ship on it"
    )
    return 0 if same else 1
