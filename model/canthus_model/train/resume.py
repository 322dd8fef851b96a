"""Whether what is in a folder is the run that is to go on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from canthus.errors import CheckpointError, TrainingError
from canthus_model.checkpoint import load_network, read_checkpoint
from canthus_model.see.annotation import TRAINING, Annotation
from canthus_model.train.checkpointing import LIGHTNING
from canthus_model.train.settings import Settings

_MAY_DIFFER = ("epochs", "encoder weights")


@dataclass(frozen=True)
class Begun:
    """A run that can go on: what it was begun with, and how many of its epochs are finished."""

    settings: Settings
    finished: int


def read_begun(path: Path) -> Begun:
    """The run whose last checkpoint is `path`. Raises CheckpointError if that isn't usable."""
    content = read_checkpoint(path)
    rest, finished = content.get(LIGHTNING), content.get("epoch")
    saved = rest.get("hyper_parameters") if isinstance(rest, dict) else None
    if not isinstance(saved, dict) or type(finished) is not int:
        raise CheckpointError(f"{path}: not a checkpoint of canthus train, which can go on from its own")
    try:
        return Begun(Settings.from_dict(saved), finished)
    except ValueError as error:
        raise CheckpointError(f"{path}: doesn't say what it was begun with ({error}); it is damaged") from error


def check_epochs(path: Path, finished: int, epochs: int) -> None:
    """Raises TrainingError if none is left to do."""
    if finished >= epochs:
        raise TrainingError(f"{path}: has all of its {epochs} epochs already; more --epochs would go on")


def check_same_data(begun: Settings, see: Path, annotation: Annotation) -> None:
    """Raises TrainingError if the data set in `see`, of this `annotation`, isn't the one that the run was begun on."""
    remedy = "give the data set that it was begun on, or another folder with -o"
    if annotation.labels != begun.labels:
        theirs, ours = ", ".join(begun.labels), ", ".join(annotation.labels)
        raise TrainingError(f"{see}: its labels are {ours}; those of the run are {theirs}; {remedy}")
    volunteers = [entry.parts.volunteer for entry in annotation.entries if entry.subset == TRAINING]
    if missing := set(begun.volunteers) - set(volunteers):
        raise TrainingError(f"{see}: has no training volunteer {min(missing)}, whom the run holds back; {remedy}")
    sequences = sum(volunteer not in begun.volunteers for volunteer in volunteers)
    if sequences != begun.sequences:
        beside = " beside those of the volunteers held back" if begun.volunteers else ""
        raise TrainingError(
            f"{see}: has {sequences} training sequences{beside}, and the run was begun on {begun.sequences}; {remedy}"
        )


def check_same_run(path: Path, settings: Settings) -> None:
    """Raises CheckpointError if `path` isn't usable, TrainingError if it is of another run or of the last epoch."""
    begun = read_begun(path)
    saved, wanted = begun.settings.as_dict(), settings.as_dict()
    for name in (name for name in wanted if name not in _MAY_DIFFER and saved[name] != wanted[name]):
        raise TrainingError(
            f"{path}: this checkpoint was trained with {name} {saved[name]}; this run has {wanted[name]}. "
            "Give the options and the data set that it was begun with, or another folder with -o"
        )
    config = settings.config
    held = load_network(path, config.image_size).config
    if replace(held, dropout=config.dropout) != config:  # weights don't tell the dropout; the settings do
        raise CheckpointError(f"{path}: its network is of another size than it says; it has been tampered with")
    check_epochs(path, begun.finished, settings.recipe.epochs)
