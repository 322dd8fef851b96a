"""`canthus verify`."""

from __future__ import annotations

import argparse

from canthus.backends import open_engine
from canthus.bundle import read_bundle
from canthus.cli.engine_options import add_engine_options
from canthus.verify import Golden, allowed, replay


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
    found, limits = replay(engine, golden), allowed(bundle.manifest)
    int8 = bundle.manifest.precision == "int8"
    print(f"{engine.backend}: {engine.why}")
    print(
        f"{bundle.path}: {len(golden.logits)} golden windows on {engine.backend}: "
        + ("an answer's lead moves, in the worst light, by " if int8 else "largest logit difference ")
        + f"{found.answers:.1e}, allowed {limits.answers:.2g}; features differ by up to "
        f"{max(found.features.values()):.1e} of their size, allowed {max(limits.features.values()):.2g}"
    )
    reference = "exported INT8 network" if int8 else "checkpoint"
    wrong = found.wrong(limits)
    if not wrong:
        print(f"ok: this machine computes what the {reference} computed")
        return 0
    for part, reason in wrong.items():
        print(f"{part}: {reason}")
    print(f"FAILED: this machine does not compute what the {reference} computed; don't ship on it")
    return 1
