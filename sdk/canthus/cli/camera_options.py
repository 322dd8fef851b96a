"""The options of every command that reads recordings or cameras: which camera, and how it is mounted."""

from __future__ import annotations

import argparse
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

from canthus.errors import ViewError
from canthus.view import View


def add_camera_options(parser: argparse.ArgumentParser) -> None:
    """Adds --camera, --view, --roi, --rotate and --mirror."""
    parser.add_argument(
        "--camera",
        metavar="NAME",
        help="which, of a recording of several cameras, or of several on USB (by serial number); they are named if you "
        "leave it out",
    )
    options = parser.add_argument_group(
        "how the camera is mounted", "The roi is cut out, then mirrored, then rotated. Default: upright, the middle."
    )
    options.add_argument("--view", type=Path, metavar="FILE", help="that says it: canthus monitor --setup makes one")
    options.add_argument(
        "--roi", metavar="LEFT,TOP,WIDTH,HEIGHT", help="part that shows the eye, in the camera's own pixels"
    )
    options.add_argument("--rotate", metavar="DEGREES", help="turn clockwise: 0, 90, 180 or 270")
    options.add_argument("--mirror", action=argparse.BooleanOptionalAction, help="left to right")


def view_of(arguments: argparse.Namespace) -> View:
    """The view that is asked for; an option of its own outweighs what the file says.

    Raises:
        ViewError: the file can't be read, or a value makes no sense.
    """
    view = View() if arguments.view is None else View.read(arguments.view)
    given: dict[str, Any] = {"mirror": arguments.mirror}
    if arguments.roi is not None:
        given["roi"] = [_number("--roi", edge) for edge in arguments.roi.split(",")]
    if arguments.rotate is not None:
        given["rotate"] = _number("--rotate", arguments.rotate)
    return View.from_fields(asdict(view) | {name: value for name, value in given.items() if value is not None})


def _number(option: str, text: str) -> int:
    if not re.fullmatch(r"\s*-?[0-9]{1,6}\s*", text):
        raise ViewError(f"{option}: {text[:40]!r} is no whole number")
    return int(text)
