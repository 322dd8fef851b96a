"""`canthus doctor`."""

from __future__ import annotations

import argparse
import shutil

from canthus.device.doctor import as_json, as_text, examine, ready


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Say what this device has (processor, memory, GPU, runtimes, cameras) and what is missing for what, each with "
        "a remedy. Nothing is changed or sent anywhere. Exit status 1 if no backend can run a bundle here."
    )
    parser.epilog = (
        "Marks: ok; missing, something can't work without it; note, worth knowing. Neither user, host nor home folder "
        "is told, so the output may go into a bug report."
    )
    parser.add_argument("--json", action="store_true", help="print the same facts as JSON")


def run(arguments: argparse.Namespace) -> int:
    findings = examine()
    told = as_json(findings) if arguments.json else as_text(findings, shutil.get_terminal_size().columns)
    print(told)
    return 0 if ready(findings) else 1
