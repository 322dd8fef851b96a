"""`canthus synthesize`: the command line of this package. Nothing heavy is imported until it runs."""

import argparse
import time
from pathlib import Path

from canthus.errors import RecordingError
from canthus_model.progress import progress

LONGEST = 3600  # seconds

DESCRIPTION = """\
Make a recording of a moving eye, as a DAVIS346 worn in front of it would have made it: 346x260 frames at
30 per second and the events between them, in one AEDAT4 file. The eye looks around, blinks and moves its
lids and brow; nobody was filmed. Use it to try canthus without a camera or a data set."""

EXAMPLES = """\
examples:
  canthus synthesize eye.aedat4
  canthus synthesize eye.aedat4 --seconds 20 --seed 7 --preview eye.png

The same seed and length always give the same events and frames. An existing OUT.aedat4 is replaced once the
new one is complete; until then, and after an error or Ctrl-C, it is left as it was."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `canthus synthesize`, and its help, to `parser`."""
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("out", type=Path, metavar="OUT.aedat4", help="the recording to write")
    parser.add_argument(
        "--seconds",
        type=float,
        default=5.0,
        help=f"length of the recording, up to {LONGEST}; rounded to whole frames (default: 5)",
    )
    parser.add_argument("--seed", type=int, default=0, help="which person and which movements, 0 or more (default: 0)")
    parser.add_argument(
        "--preview",
        type=Path,
        metavar="OUT.png",
        help="also write a picture of six moments: frames above, their events below",
    )


def run(arguments: argparse.Namespace) -> int:
    """Make the recording that `arguments` ask for and return 0; RecordingError if it can't be made."""
    _check(arguments)
    from canthus_model.synthesize import preview, recording
    from canthus_model.synthesize.eye import Eye

    if arguments.preview:
        preview.check(arguments.preview)
    begin = time.perf_counter()
    frames = recording.frame_count(arguments.seconds)
    with progress("filming the eye") as report:
        eye = Eye(arguments.seconds, arguments.seed)
        events = recording.record(eye, arguments.out, arguments.seconds, arguments.seed, report)
    seconds = frames / recording.FRAMES_PER_SECOND
    print(
        f"{arguments.out}: {seconds:.1f} s, {frames} frames, {events:,} events "
        f"({events / seconds / 1e6:.2f} M/s), made in {time.perf_counter() - begin:.1f} s"
    )
    if arguments.preview:
        preview.write_contact_sheet(arguments.out, arguments.preview)
        print(f"{arguments.preview}: six moments of it")
    return 0


def _check(arguments: argparse.Namespace) -> None:
    out = arguments.out
    if out.suffix != ".aedat4":
        raise RecordingError(f"{out}: a recording is an AEDAT4 file; give it a name that ends in .aedat4")
    if out.is_dir():
        raise RecordingError(f"{out}: is a folder; name a file in it")
    if not out.parent.is_dir():
        raise RecordingError(f"{out.parent}: no such folder; create it first")
    if not 0 < arguments.seconds <= LONGEST:
        raise RecordingError(
            f"--seconds {arguments.seconds:g}: a recording lasts more than 0 and up to {LONGEST} seconds"
        )
    if arguments.seed < 0:
        raise RecordingError(f"--seed {arguments.seed}: a seed is 0 or more")
