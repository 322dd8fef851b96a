"""The `canthus` command."""

from __future__ import annotations

import argparse
import importlib
import io
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version

from canthus.errors import Error

COMMANDS = {
    "synthesize": ("canthus_model.synthesize.command", "render a recording of a moving eye, or a whole data set"),
    "train": ("canthus_model.train.command", "train the network on the SEE data set"),
    "evaluate": ("canthus_model.evaluate.command", "tell how often a model is right, per emotion and lighting"),
    "export": ("canthus_exporter.command", "turn a trained checkpoint into a verified bundle"),
    "mamba": ("canthus_exporter.mamba_command", "turn any network with Mamba's scans into one ONNX file"),
    "build": ("canthus.cli.build", "build TensorRT plans of a bundle for a GPU"),
    "inspect": ("canthus.cli.inspect", "say what a bundle holds and where it comes from"),
    "verify": ("canthus.cli.verify", "check that this machine computes what the checkpoint computed"),
    "run": ("canthus.cli.run", "read expressions from a recording"),
    "bench": ("canthus.cli.bench", "measure how fast and how steadily this device answers"),
    "monitor": ("canthus.cli.monitor", "watch a live stream on a web page: images, expressions, health"),
    "doctor": ("canthus.cli.doctor", "say what this device has, and what is missing for what"),
}
"""Each command's module, which has `add_arguments(parser)` and `run(arguments)`, and what it does."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is 0, 1 if a check failed, 2 for bad input, 130 for Ctrl-C."""
    argv = sys.argv[1:] if argv is None else list(argv)
    chosen = argv[0] if argv and argv[0] in COMMANDS else None
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what its encoding has no character for is no reason to end
            stream.reconfigure(errors="replace")
    arguments = _parser(chosen).parse_args(argv)
    try:
        status = int(arguments.run(arguments))
        sys.stdout.flush()
        return status
    except Error as error:
        print(f"canthus: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("canthus: interrupted; nothing was left half-written", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has seen enough
        _write_no_more()
        return 0
    except OSError as error:
        _write_no_more()
        where = f"{error.filename}: " if error.filename else ""
        print(f"canthus: error: {where}can't be read or written ({error.strerror})", file=sys.stderr)
        return 2


def _write_no_more() -> None:
    """Else Python would try again to write what is left, when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser(chosen: str | None) -> argparse.ArgumentParser:
    """The parser; only the chosen command's module is imported, so that none pays for another."""
    parser = argparse.ArgumentParser(
        prog="canthus",
        description="Read a wearer's expression from one eye, on the device that they wear.",
        epilog="canthus COMMAND --help tells more.",
    )
    parser.add_argument("--version", action="version", version=f"canthus {version('canthus')}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, (module, what) in COMMANDS.items():
        command = commands.add_parser(name, help=what)
        if name == chosen:
            implementation = importlib.import_module(module)
            implementation.add_arguments(command)
            command.set_defaults(run=implementation.run)
    return parser
