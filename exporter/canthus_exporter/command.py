"""`canthus export`."""

from __future__ import annotations

import argparse
import math
import re
from pathlib import Path

from canthus.errors import ExportError
from canthus.imports import importing
from canthus_calibration.ranges import ESTIMATORS
from canthus_calibration.targets import TARGETS
from canthus_model.workers import wait_without_spinning

_PRECISIONS = ("float32", "float16", "int8")
_FEWEST_CLIPS, _MOST_CLIPS = 28, 100_000

DESCRIPTION = """\
Turn a trained MCO-E Net checkpoint into one .canthus file: fold the network, trace it into ONNX, check that every
way to run it answers as the checkpoint does, and pack it.

--precision float16 is for GPUs, by ONNX Runtime's CUDA provider or TensorRT: the encoders compute in float16, what
follows them in float32. On a CPU that only makes the file smaller, by nearly half, and runs no faster. No data is
needed. What it costs on the golden vectors is printed, and kept in the bundle. A network whose weights or activations
float16 can't hold, or whose logits it moves too far, is refused.

With --precision int8 the network is quantised. Its ranges come from clips of SEE's four lightings, equally many each,
of training volunteers; each is chosen for the lighting that it suits worst. Layers whose rounding changes too many
answers, or an encoder's features, in any lighting stay in float. What INT8 costs is measured in each lighting on
testing volunteers, printed, and kept in the bundle; so is whether the network uses its frames and its events."""

EXAMPLES = """\
examples:
  canthus export run/weights.pth -o eye.canthus                    what canthus train wrote
  canthus export save_100.pth --annotation SEE/emotion.json -o eye.canthus
  canthus export best.pth --see SEE -o eye.canthus
  canthus export save_100.pth --annotation SEE/emotion.json --precision float16 -o eye16.canthus
  canthus export save_100.pth --annotation SEE/emotion.json --see SEE --precision int8 -o eye.canthus
  canthus export save_100.pth --annotation SEE/emotion.json --see SEE --precision int8 --target arm64 \\
      --report calibration.html -o eye.canthus

A checkpoint is read as data; nothing in it is ever run. An export that was stopped goes on from what it has
measured when it is begun again: until it ends, that is kept in a file beside the bundle, FILE.calibrating."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES
    parser.add_argument("checkpoint", help="what training saved (.pth)")
    parser.add_argument(
        "--annotation",
        metavar="FILE",
        help="the data set's annotation file (SEE/emotion.json); its 'labels' are the network's class order. Needed "
        "for a checkpoint that doesn't know them, as published ones don't; those of canthus train do",
    )
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="the bundle to write (.canthus)")
    parser.add_argument(
        "--image-size",
        type=_image_size,
        metavar="HEIGHTxWIDTH",
        help="of the images the network was trained with, in pixels (default: what the checkpoint says; 100x100 if it "
        "doesn't)",
    )
    parser.add_argument(
        "--weights", metavar="NAME", help="which network, of a checkpoint that holds several (EMA weights, say)"
    )
    parser.add_argument(
        "--precision",
        choices=_PRECISIONS,
        default="float32",
        help="default: float32; float16 is for GPUs, int8 for CPUs too",
    )
    parser.add_argument(
        "--see",
        type=Path,
        metavar="DIR",
        help="the SEE data set that the network was trained with: makes its probabilities honest, by how sure it is "
        "against how often it is right, and learns how an eye looks, to tell where there is none; needed for int8",
    )
    int8 = parser.add_argument_group("with --precision int8")
    int8.add_argument("--target", choices=list(TARGETS), help="what the bundle is for (default: x86)")
    int8.add_argument(
        "--ranges", choices=list(ESTIMATORS), help="how a lighting's ranges are estimated (default: entropy)"
    )
    int8.add_argument(
        "--clips", type=_clips, metavar="N", help="to take ranges from, a quarter from each lighting (default: 400)"
    )
    int8.add_argument(
        "--agreement",
        type=_agreement,
        metavar="PERCENT",
        help="of the answers that are to be as in float32, in every lighting (default: 99); the fewer, the more layers "
        "run in INT8",
    )
    int8.add_argument(
        "--report", type=Path, metavar="FILE", help="also write a page (HTML): every layer's ranges in every lighting"
    )


def run(arguments: argparse.Namespace) -> int:
    options = {
        name: value
        for name in ("target", "ranges", "clips", "agreement", "report")
        if (value := getattr(arguments, name)) is not None
    }
    if arguments.precision != "int8" and options:
        given = ", ".join(f"--{name}" for name in options)
        raise ExportError(f"{given}: only for INT8; add --precision int8, or leave it out")
    if arguments.precision == "int8" and arguments.see is None:
        raise ExportError("--precision int8 needs --see DIR, clips to take ranges from: random ones would be guesses")
    wait_without_spinning()
    with importing("torch", "pip install 'canthus[export,cpu]'", ExportError, "export needs what isn't here: "):
        from canthus_exporter.export import export
        from canthus_exporter.int8 import Int8
    int8 = None
    if arguments.precision == "int8":
        options["page"] = options.pop("report", None)
        int8 = Int8(**options)
    export(
        arguments.checkpoint,
        arguments.annotation,
        arguments.output,
        arguments.image_size,
        int8,
        float16=arguments.precision == "float16",
        weights=arguments.weights,
        see=arguments.see,
    )
    return 0


def _clips(text: str) -> int:
    if not text.isdecimal() or int(text) % 4 or not _FEWEST_CLIPS <= int(text) <= _MOST_CLIPS:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number of clips: a multiple of 4, {_FEWEST_CLIPS} to {_MOST_CLIPS}"
        )
    return int(text)


def _agreement(text: str) -> float:
    try:
        percent = float(text)
    except ValueError:
        percent = math.nan
    if not 50 <= percent <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of percent from 50 to 100")
    return percent


def _image_size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,4})x(\d{1,4})", text)
    if not match or not all(32 <= int(n) <= 2048 for n in match.groups()):
        raise argparse.ArgumentTypeError(f"{text!r} is not HEIGHTxWIDTH in pixels, 32 to 2048 each, as in 100x133")
    return int(match[1]), int(match[2])
