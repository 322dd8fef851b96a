"""`canthus mamba`."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from canthus.errors import ExportError
from canthus.imports import importing
from canthus_exporter.named_axis import Free
from canthus_model.workers import wait_without_spinning

DESCRIPTION = """\
Turn a PyTorch network with Mamba's scans in it into one ONNX file that any runtime takes, and that runs many times
faster where canthus's library is registered. It need not have anything to do with eyes. No GPU is needed, and neither
mamba_ssm nor causal_conv1d: while your code is loaded, canthus has something in their place.

Write a function without arguments that returns your network and a tuple of example inputs:

    # my_network.py
    import torch
    from mamba_ssm import Mamba2

    def build():
        return torch.nn.Sequential(Mamba2(192), torch.nn.LayerNorm(192)), (torch.randn(1, 196, 192),)

The file is written only if ONNX Runtime computes from it what PyTorch does, with the library and without."""

EXAMPLES = """\
examples:
  canthus mamba my_network.py:build -o network.onnx
  canthus mamba my_network.py:build --weights best.pth -o network.onnx
  canthus mamba my_network.py:build --free 0:0=batch --free 0:1=tokens:1024 -o network.onnx
  canthus mamba my_network.py:build --also my_network.selective_scan -o network.onnx

docs/mamba.md has the same for Python, what public designs need, and what errors mean. Your code is run; weights are
read as data, nothing in them is ever run."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES
    parser.add_argument("source", type=_source, metavar="FILE.py:FUNCTION", help="what returns network and inputs")
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="FILE", help="the file to write (.onnx)")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="the network's state, as torch.save wrote it")
    parser.add_argument(
        "--free",
        type=_free,
        action="append",
        default=[],
        metavar="INPUT:AXIS=NAME[:MOST]",
        help="an axis that is to stay free, both numbers from 0; MOST is needed where it is of a scan's tokens",
    )
    parser.add_argument(
        "--also",
        action="append",
        default=[],
        metavar="NAME",
        help="a scan of your own, as package.module.function or package.module.Class.method",
    )
    parser.add_argument(
        "--tolerance",
        type=float,
        default=1e-4,
        metavar="X",
        help="the largest difference from PyTorch, relative to an output's magnitude (default: %(default)g)",
    )


def run(arguments: argparse.Namespace) -> int:
    wait_without_spinning()
    with importing("torch", "pip install 'canthus[export,cpu]'", ExportError, "mamba needs what isn't here: "):
        from canthus_exporter.mamba.from_file import export_from_file
    file, function = arguments.source
    export_from_file(
        file,
        function,
        arguments.output,
        weights=arguments.weights,
        free=arguments.free,
        also=arguments.also,
        tolerance=arguments.tolerance,
    )
    return 0


def _source(text: str) -> tuple[Path, str]:
    file, _, function = text.rpartition(":")
    if not file.endswith(".py") or not function.isidentifier():
        raise argparse.ArgumentTypeError(f"{text!r} isn't FILE.py:FUNCTION, as my_network.py:build")
    return Path(file), function


def _free(text: str) -> Free:
    found = re.fullmatch(r"(\d+):(\d+)=([A-Za-z_]\w*)(?::(\d+))?", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} isn't INPUT:AXIS=NAME or INPUT:AXIS=NAME:MOST, as 0:1=tokens:1024")
    place, axis, name, most = found.groups()
    if most is not None and int(most) < 2:
        raise argparse.ArgumentTypeError(f"{text!r}: MOST is 2 or more; leave the axis out where it is always 1")
    return Free(int(place), int(axis), name, None if most is None else int(most))
