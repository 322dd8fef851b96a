"""`canthus export`."""

from __future__ import annotations

import argparse
import re

from canthus.errors import ExportError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Turn a trained MCO-E Net checkpoint into one .canthus file: fold the network, trace it into ONNX, "
        "check that every way to run it answers as the checkpoint does, and pack it."
    )
    parser.epilog = (
        "example: canthus export save_100.pth --annotation SEE/emotion.json -o eye.canthus. "
        "A checkpoint is read as data; nothing in it is ever run."
    )
    parser.add_argument("checkpoint", help="what training saved (.pth)")
    parser.add_argument(
        "--annotation",
        required=True,
        metavar="FILE",
        help="the data set's annotation file (SEE/emotion.json); its 'labels' are the network's class order",
    )
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="the bundle to write (.canthus)")
    parser.add_argument(
        "--image-size",
        type=_image_size,
        default=(100, 100),
        metavar="HEIGHTxWIDTH",
        help="of the images the network was trained with, in pixels (default: 100x100)",
    )


def run(arguments: argparse.Namespace) -> int:
    try:
        from canthus_exporter.export import export
    except ImportError as error:
        raise ExportError(f"export needs {error.name}: pip install 'canthus[export,cpu]'") from error
    export(arguments.checkpoint, arguments.annotation, arguments.output, arguments.image_size)
    return 0


def _image_size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,4})x(\d{1,4})", text)
    if not match or not all(32 <= int(n) <= 2048 for n in match.groups()):
        raise argparse.ArgumentTypeError(f"{text!r} is not HEIGHTxWIDTH in pixels, 32 to 2048 each, as in 100x133")
    return int(match[1]), int(match[2])
