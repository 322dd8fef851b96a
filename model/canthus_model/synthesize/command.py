"""`canthus synthesize`: the command line of this package. Nothing heavy is imported until it runs."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from canthus.errors import RecordingError
from canthus.imports import importing
from canthus_model.progress import progress
from canthus_model.see.names import LIGHTINGS

LONGEST = 3600  # seconds
SECONDS = 5.0
VOLUNTEERS = 48
MOST_VOLUNTEERS = 999  # a name has three digits for them
_OF_A_RECORDING = ("seconds", "preview", "lighting", "no_eye", "truth")

DESCRIPTION = """\
Make a recording of a moving eye, as a DAVIS346 worn in front of it would have made it: 346x260 frames at
30 per second and the events between them, in one AEDAT4 file. The eye shows one expression after another, looks
around and blinks; nobody was filmed. Use it to try canthus without a camera or a data set.

With --like see, make a whole data set with SEE's layout instead: each volunteer has a face of their own and shows
each of the seven expressions in each of the four lightings. Every fourth volunteer is in the testing subset, so
training never sees their faces. About 100 MB for each volunteer; 48 of them take some 20 minutes on two cores."""

EXAMPLES = """\
examples:
  canthus synthesize eye.aedat4
  canthus synthesize eye.aedat4 --seconds 20 --seed 7 --preview eye.png
  canthus synthesize eye.aedat4 --seconds 30 --lighting normal,Low --no-eye --truth eye.json
  canthus synthesize SEE --like see --volunteers 48

The same seed, with the same length or number of volunteers, always gives the same events and frames. OUT appears
once it is complete; after an error or Ctrl-C, what was there before is as it was."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `canthus synthesize`, and its help, to `parser`."""
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("out", type=Path, metavar="OUT", help="the .aedat4 file or, with --like, the folder to write")
    parser.add_argument("--seed", type=int, default=0, help="which faces and which movements, 0 or more (default: 0)")
    recording = parser.add_argument_group("a recording")
    recording.add_argument(
        "--seconds", type=float, help=f"its length, up to {LONGEST}; rounded to whole frames (default: {SECONDS:g})"
    )
    recording.add_argument(
        "--preview",
        type=Path,
        metavar="OUT.png",
        help="also write a picture of six moments: frames above, their events below",
    )
    recording.add_argument(
        "--lighting",
        metavar="NAME[,NAME]",
        help=f"of {', '.join(LIGHTINGS)}; two of them: the light changes in the middle (default: normal)",
    )
    recording.add_argument(
        "--no-eye",
        action="store_true",
        help="now and then the camera sees no eye: the glasses are taken off, a thumb is on the lens, the camera slips",
    )
    recording.add_argument(
        "--truth",
        type=Path,
        metavar="OUT.json",
        help="also write what is shown when: expressions, blinks, times without an eye, lightings",
    )
    data_set = parser.add_argument_group("a data set")
    data_set.add_argument("--like", choices=["see"], help="whose layout it has")
    data_set.add_argument(
        "--volunteers", type=int, help=f"how many, 28 sequences each (default: {VOLUNTEERS}); 4 or more, to test on one"
    )
    data_set.add_argument(
        "--raw", action="store_true", help="also write each sequence's frames and events as raw/LABEL/NAME.aedat4"
    )


def run(arguments: argparse.Namespace) -> int:
    """Make what `arguments` ask for and return 0; RecordingError if it can't be made."""
    _check(arguments)
    if arguments.like:
        _make_data_set(arguments)
    else:
        _make_recording(arguments)
    return 0


def _make_recording(arguments: argparse.Namespace) -> None:
    from canthus_model.synthesize import preview
    from canthus_model.synthesize.recording import Recording
    from canthus_model.synthesize.take import parade
    from canthus_model.synthesize.truth import write_truth

    if arguments.preview:
        preview.check(arguments.preview)
    begin = time.perf_counter()
    lightings = (arguments.lighting or "normal").split(",")
    seconds = SECONDS if arguments.seconds is None else arguments.seconds
    take = parade(arguments.seed, seconds, *lightings, no_eye=arguments.no_eye)
    with progress("filming the eye") as report, Recording(arguments.out) as recording:
        for number, moment in enumerate(take.moments()):
            recording.add(moment)
            report(number + 1, take.frames)
    rate = recording.events / take.seconds / 1e6
    print(
        f"{arguments.out}: {take.seconds:.1f} s, {take.frames} frames, {recording.events:,} events ({rate:.2f} M/s), "
        f"made in {time.perf_counter() - begin:.1f} s"
    )
    shown = (f"{label} until {end:.1f} s" for label, end in zip(take.labels, take.ends(), strict=True))
    print(f"{arguments.out}: shows " + ", ".join(shown))
    if arguments.truth:
        write_truth(take, arguments.truth)
        print(f"{arguments.truth}: what it shows, and when")
    if arguments.preview:
        preview.write_contact_sheet(arguments.out, arguments.preview)
        print(f"{arguments.preview}: six moments of it")


def _make_data_set(arguments: argparse.Namespace) -> None:
    with importing("torch", "pip install 'canthus[train]'", RecordingError, "--like see: "):
        from canthus_model.synthesize.data_set import write_data_set

    begin = time.perf_counter()
    volunteers = VOLUNTEERS if arguments.volunteers is None else arguments.volunteers
    with progress("filming") as report:
        sequences = write_data_set(arguments.out, volunteers, arguments.seed, raw=arguments.raw, report=report)
    minutes = (time.perf_counter() - begin) / 60
    print(
        f"{arguments.out}: {sequences} sequences of {volunteers} volunteers, made in {minutes:.1f} min "
        f"({sequences / minutes:.0f} a minute)"
    )


def _check(arguments: argparse.Namespace) -> None:
    out = arguments.out
    if not out.parent.is_dir():
        raise RecordingError(f"{out.parent}: no such folder; create it first")
    if arguments.seed < 0:
        raise RecordingError(f"--seed {arguments.seed}: a seed is 0 or more")
    if arguments.like:
        _check_data_set(arguments)
    else:
        _check_recording(arguments)


def _check_data_set(arguments: argparse.Namespace) -> None:
    given = [name for name in _OF_A_RECORDING if getattr(arguments, name) not in (None, False)]
    if given:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise RecordingError(f"{names}: for a recording; leave that out, or leave out --like")
    if arguments.volunteers is not None and not 1 <= arguments.volunteers <= MOST_VOLUNTEERS:
        raise RecordingError(f"--volunteers {arguments.volunteers}: there can be 1 to {MOST_VOLUNTEERS}")


def _check_recording(arguments: argparse.Namespace) -> None:
    out = arguments.out
    if arguments.volunteers is not None or arguments.raw:
        raise RecordingError("--volunteers and --raw are for a data set; add --like see, or leave them out")
    if out.suffix != ".aedat4":
        raise RecordingError(f"{out}: a recording is an AEDAT4 file; give it a name that ends in .aedat4")
    if out.is_dir():
        raise RecordingError(f"{out}: is a folder; name a file in it")
    if arguments.seconds is not None and not 0 < arguments.seconds <= LONGEST:
        raise RecordingError(
            f"--seconds {arguments.seconds:g}: a recording lasts more than 0 and up to {LONGEST} seconds"
        )
    lightings = (arguments.lighting or LIGHTINGS[0]).split(",")
    if not (1 <= len(lightings) <= 2 and set(lightings) <= set(LIGHTINGS)):
        raise RecordingError(
            f"--lighting {arguments.lighting}: give one of {', '.join(LIGHTINGS)}, or two of them with a comma between"
        )
    if arguments.truth and (arguments.truth.is_dir() or not arguments.truth.parent.is_dir()):
        raise RecordingError(f"{arguments.truth}: not a file in an existing folder; create the folder first")
