"""The option of every command that reads recordings or cameras, of which there may be several."""

from __future__ import annotations

import argparse


def add_camera_option(parser: argparse.ArgumentParser) -> None:
    """Adds --camera."""
    parser.add_argument(
        "--camera",
        metavar="NAME",
        help="which, of a recording of several cameras, or of several on USB (by serial number); they are named if you "
        "leave it out",
    )
