"""What `canthus train` does before the first epoch: all that can be checked is, what takes least first."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from lightning.pytorch.utilities.rank_zero import rank_zero_only

from canthus_model.progress import progress
from canthus_model.see.annotation import TESTING, TRAINING, read_annotation
from canthus_model.see.dataset import ANNOTATION, See, open_see
from canthus_model.see.decoding import check_images
from canthus_model.see.moments import Clips
from canthus_model.train.checkpointing import LAST
from canthus_model.train.encoder_weights import read_encoder_weights
from canthus_model.train.machine import Machine
from canthus_model.train.options import Chosen, begin, go_on
from canthus_model.train.resume import check_epochs, check_same_data, read_begun
from canthus_model.train.run import check, check_batch, train
from canthus_model.train.volunteers import draw_volunteers, hold_back


def start(arguments: argparse.Namespace) -> None:
    """Train as the command line asks.

    Raises:
        TrainingError, CheckpointError, DataSetError: see `train`, `go_on`, `open_see` and `check_images`.
    """
    machine = Machine(arguments.accelerator, arguments.devices, arguments.nodes, arguments.workers, arguments.threads)
    chosen, volunteers = _chosen(arguments, machine)
    training, looked_at = _open(arguments.see, volunteers)
    if _is_first():
        with progress("looking at every image") as report:
            check_images((training, looked_at), machine.checkers, report)
    keep = machine.can_hold(Clips(training).size_in_memory)
    clips = Clips(training, chosen.seed, keep=keep)
    if _is_first():
        _tell(chosen, len(clips), volunteers, arguments)
    train(
        clips,
        Clips(looked_at, middle=True, keep=keep),
        training.labels,
        arguments.output,
        replace(chosen.config, image_size=clips.image_size),
        chosen.recipe,
        seed=chosen.seed,
        machine=machine,
        resume=arguments.resume,
        encoder_weights=arguments.encoder_weights,
        volunteers=volunteers,
    )


def _open(root: Path, volunteers: tuple[str, ...]) -> tuple[See, See]:
    """What to train on and what to look at: `volunteers` held back, or the testing subset if there are none."""
    training = open_see(root, TRAINING, ends=False)
    return hold_back(training, volunteers) if volunteers else (training, open_see(root, TESTING, ends=False))


def _chosen(arguments: argparse.Namespace, machine: Machine) -> tuple[Chosen, tuple[str, ...]]:
    """What is to be trained, and who is held back; checked as far as options, checkpoint and annotation tell."""
    last = arguments.output / LAST
    begun = read_begun(last) if arguments.resume and last.exists() else None
    chosen = go_on(arguments, begun.settings) if begun else begin(arguments)
    check(arguments.output, chosen.recipe, machine, arguments.resume)
    if begun:
        check_epochs(last, begun.finished, chosen.recipe.epochs)
    elif arguments.encoder_weights:
        read_encoder_weights(chosen.config, arguments.encoder_weights)
    annotation = read_annotation(arguments.see / ANNOTATION)
    entries = [entry for entry in annotation.entries if entry.subset == TRAINING]
    if begun:
        check_same_data(begun.settings, arguments.see, annotation)
        volunteers = begun.settings.volunteers
    elif entries and arguments.validation:
        volunteers = draw_volunteers(entries, arguments.validation, chosen.seed)
    else:
        volunteers = ()
    if entries:
        sequences = sum(entry.parts.volunteer not in volunteers for entry in entries)
        check_batch(chosen.recipe.batch, sequences, len(volunteers))
    return chosen, volunteers


def _tell(chosen: Chosen, sequences: int, volunteers: tuple[str, ...], arguments: argparse.Namespace) -> None:
    """What to know of a run before it begins."""
    if volunteers:
        print(
            f"held back for validation: volunteer{'s' * (len(volunteers) > 1)} {', '.join(volunteers)}; the testing "
            "subset isn't opened",
            file=sys.stderr,
        )
    if left_out := sequences % chosen.recipe.batch:
        print(
            f"an epoch is {sequences // chosen.recipe.batch} batches of {chosen.recipe.batch}: {left_out} of the "
            f"{sequences} training sequences, others in each epoch, are left out",
            file=sys.stderr,
        )
    if not arguments.encoder_weights and not arguments.resume:
        print("the encoders start from random weights; --encoder-weights gives them others", file=sys.stderr)


def _is_first() -> bool:
    """Whether this is the process that speaks, of those that train together."""
    return rank_zero_only.rank == 0
