"""`canthus evaluate`: the command line of this package. Nothing heavy is imported until it runs."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

from canthus.errors import EvaluationError
from canthus.imports import importing
from canthus.threads import most_threads
from canthus_model.evaluate.figures import Figures, figures
from canthus_model.evaluate.folder import check_folder, filling
from canthus_model.evaluate.origin import Origin, read_origin
from canthus_model.evaluate.picture import draw_confusion
from canthus_model.evaluate.results import FIGURES, Run, encode_run, read_results
from canthus_model.evaluate.table import table
from canthus_model.pictures import check_matplotlib
from canthus_model.progress import progress
from canthus_model.workers import wait_without_spinning

DESCRIPTION = """\
Tell how often a model is right on SEE's testing subset, as the papers count it: in each of 20 runs a clip of
each sequence is drawn and the likeliest emotion taken; the figures of the runs are averaged. Printed are the
recall of each emotion, the accuracy under each lighting, WAR (the share of all sequences that are right) and
UAR (the mean of the emotions' recalls), each with the spread over the runs. All runs are of the same volunteers:
their spread tells what the drawing of clips does, and not how the model fares with others. How WAR differs from one
volunteer to another is told, too.

MODEL is a checkpoint (.pth) or a bundle (.canthus); evaluate both to see what an export cost. The outputs of a
checkpoint that doesn't name them are taken to be in the order of the annotation's labels. Both run on the CPU.

With --ablate it tells instead whether the network uses all of itself: what it answers when its frames, its events or
one of the two moments are those of other clips (of the same lighting, and another volunteer), when frames are black or
there are no events; of a checkpoint also, when parts of the network are left out. And which experts are asked.

With --streams it plays recordings of which is known what they show: how much of the time the answers are right, how
often they change, how late an expression is told, and what of blinks and of times without an eye in view; of the raw
answers and of the steady ones."""

EXAMPLES = """\
examples:
  canthus evaluate save_100.pth SEE
  canthus evaluate eye.canthus SEE -o results      # also keeps every answer, and draws the confusion matrix
  canthus evaluate eye.canthus SEE --runs 1        # a first impression, in a twentieth of the time
  canthus evaluate eye.canthus SEE --ablate        # does it look at its frames? at its events? asks all experts?
  canthus evaluate eye.canthus --streams recordings   # steady? how late? what of blinks, and where there is no eye?
  canthus evaluate --results results               # figures of results already there, also published ones
  canthus evaluate --results results -o results    # and draw their confusion matrix

With -o DIR these appear, all at once and when all are complete:
  test_epoch_EPOCH_RUN.json   one for each run, as the data set's authors publish theirs:
                              {"results": {NAME: [{"label": "fear", "score": 0.91}, ... all 7, best first]}}
                              (test_RUN.json for a model that doesn't know its epoch)
  figures.json                the model's name, epoch and seed; every number of the table, for each run; the
                              confusion matrices
  confusion.png               the confusion matrix of all runs, and a small one for each lighting
DIR must be new or empty, so that results of two evaluations never mix. With --results, figures.json and
confusion.png are replaced if they are there. With --ablate, ablation.json and ablation.png appear instead of all that;
with --streams, streams.json and streams.png.

The same seed draws the same clips, so two models can be compared on the same ones."""

PICTURE = "confusion.png"

_NUMBERS = {
    "runs": (20, 1, 1000, "over the testing subset; the papers take 20"),
    "seed": (0, 0, 2**32 - 1, "which clips are drawn"),
    "batch": (32, 1, 1024, "clips shown to the model at a time"),
    "workers": (2, 0, 64, "processes that decode images; with 0 the model's does"),
    "threads": (2, 1, most_threads(), "that the model may use"),
}
"""Default, least and largest value of each option that is a number, and what it is."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `canthus evaluate`, and its help, to `parser`."""
    parser.usage = (
        "canthus evaluate MODEL SEE [-o DIR] [--weights NAME] [--runs N] [--seed N] [--batch N]\n"
        "                       [--workers N] [--threads N] [--json] [--ablate]\n"
        "       canthus evaluate BUNDLE --streams DIR [-o DIR] [--threads N] [--json]\n"
        "       canthus evaluate --results DIR [-o DIR] [--json]"
    )
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("model", nargs="?", type=Path, metavar="MODEL", help="a checkpoint (.pth) or bundle (.canthus)")
    parser.add_argument("see", nargs="?", type=Path, metavar="SEE", help="the data set's folder, holding emotion.json")
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", help="folder to write results and pictures into")
    parser.add_argument("--results", type=Path, metavar="DIR", help="evaluate no model, but the runs in DIR")
    parser.add_argument(
        "--json", action="store_true", help="for machines: what figures.json (ablation.json) holds, as one object"
    )
    parser.add_argument("--ablate", action="store_true", help="take inputs and parts away, and tell what that changes")
    parser.add_argument(
        "--streams",
        type=Path,
        metavar="DIR",
        help="play recordings (.aedat4) whose truth (.json) lies beside them, as canthus synthesize --truth writes it",
    )
    parser.add_argument("--weights", metavar="NAME", help="which network, of a checkpoint that holds several")
    for name, (default, least, largest, what) in _NUMBERS.items():
        parser.add_argument(
            f"--{name}", type=_between(least, largest), metavar="N", help=f"{what} (default: {default})"
        )


def run(arguments: argparse.Namespace) -> int:
    """Do what `arguments` ask for and return 0; an `Error` if it can't be done."""
    _check_mode(arguments)
    if arguments.output:
        check_matplotlib(EvaluationError, "the confusion matrix can't be drawn: ")
    if arguments.results:
        _from_results(arguments.results, arguments.output, as_json=arguments.json)
        return 0
    for name, (default, *_) in _NUMBERS.items():
        if getattr(arguments, name) is None:
            setattr(arguments, name, default)
    if arguments.output:
        check_folder(arguments.output)
    if arguments.streams:
        _streams(arguments)
    elif arguments.ablate:
        _ablate(arguments)
    else:
        _from_model(arguments)
    return 0


def _from_results(results: Path, output: Path | None, *, as_json: bool) -> None:
    if output:
        same = output.is_dir() and results.is_dir() and output.samefile(results)
        check_folder(output, [path.name for path in results.iterdir()] if same else (FIGURES, PICTURE))
    found, origin = figures(read_results(results)), read_origin(results)
    _tell(found, origin, as_json)
    if output:
        _write(output, found, origin, {}, quiet=as_json)


def _from_model(arguments: argparse.Namespace) -> None:
    wait_without_spinning()
    with importing("torch", "pip install 'canthus[cpu,train]'", EvaluationError, "a model can't be evaluated: "):
        import torch

        from canthus_model.checkpoint import read_epoch
        from canthus_model.evaluate.models import CHECKPOINT, check_model, open_model
        from canthus_model.evaluate.runs import evaluate
        from canthus_model.see.dataset import open_see
        from canthus_model.see.moments import Clips
    check_model(arguments.model)
    torch.set_num_threads(arguments.threads)
    with progress("looking for the images") as report:
        see = open_see(arguments.see, "testing", report)
    model = open_model(arguments.model, see.labels, Clips(see).image_size, arguments.threads, arguments.weights)
    numbers = {name: getattr(arguments, name) for name in ("runs", "seed", "batch", "workers")}
    with progress(f"clips of {arguments.runs} runs") as report:
        runs = evaluate(model, see, **numbers, report=report)
    found = figures(runs)
    epoch = read_epoch(arguments.model) if arguments.model.suffix == CHECKPOINT else None
    origin = Origin(arguments.model.name, epoch, arguments.seed)
    _tell(found, origin, arguments.json)
    if arguments.output:
        prefix = "test_" if epoch is None else f"test_epoch_{epoch}_"
        files = {f"{prefix}{number}.json": run for number, run in enumerate(runs, 1)}
        _write(arguments.output, found, origin, files, quiet=arguments.json)


def _ablate(arguments: argparse.Namespace) -> None:
    wait_without_spinning()
    with importing("torch", "pip install 'canthus[cpu,train]'", EvaluationError, "a model can't be evaluated: "):
        from canthus_model.evaluate.ablation.command import ablate_model
    ablate_model(arguments)


def _streams(arguments: argparse.Namespace) -> None:
    from canthus_model.evaluate.streams.command import evaluate_streams

    evaluate_streams(arguments)


def _tell(found: Figures, origin: Origin, as_json: bool) -> None:
    print(json.dumps({**origin.as_dict(), **found.as_dict()}) if as_json else table(found))


def _write(output: Path, found: Figures, origin: Origin, runs: dict[str, Run], *, quiet: bool) -> None:
    with filling(output) as folder:
        for name, run in runs.items():
            (folder / name).write_text(encode_run(run), encoding="utf-8")
        (folder / FIGURES).write_text(json.dumps({**origin.as_dict(), **found.as_dict()}, indent=1), encoding="utf-8")
        draw_confusion(found, folder / PICTURE, str(origin))
    if not quiet:
        print(f"\n{output}: {PICTURE}, {FIGURES}" + (f" and {len(runs)} runs" if runs else ""))


def _check_mode(arguments: argparse.Namespace) -> None:
    if arguments.streams:
        if arguments.results or arguments.ablate or arguments.see:
            raise EvaluationError("--streams plays recordings to a BUNDLE: leave out SEE, --results and --ablate")
        given = [f"--{name}" for name in _NUMBERS if name != "threads" and getattr(arguments, name) is not None]
        if given:
            raise EvaluationError(f"{given[0]}: every recording is played once, as it is; leave it out")
    elif arguments.results:
        if arguments.ablate:
            raise EvaluationError("--ablate asks a model, and --results has none; give MODEL and SEE")
        given = [f"--{name}" for name in _NUMBERS if getattr(arguments, name) is not None]
        if arguments.model or given:
            what = "MODEL" if arguments.model else given[0]
            raise EvaluationError(f"--results evaluates runs that are there already and takes no {what}; leave it out")
    elif not arguments.see:
        raise EvaluationError("give MODEL and SEE, or --results DIR; canthus evaluate --help tells more")


def _between(least: int, largest: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not text.isascii() or not text.isdigit() or len(text) > 10 or not least <= int(text) <= largest:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} to {largest}")
        return int(text)

    return number
