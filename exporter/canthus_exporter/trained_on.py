"""What a network was trained on: as its checkpoint says, or as the options do where it doesn't."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from canthus.errors import ExportError
from canthus_model.checkpoint import read_facts
from canthus_model.config import SPAN_US, WINDOW_US, NetworkConfig
from canthus_model.see.annotation import read_labels
from canthus_model.see.dataset import ANNOTATION


class TrainedOn(NamedTuple):
    """What `Facts` tells, of which here nothing is missing; the attributes are its."""

    image_size: tuple[int, int]
    labels: tuple[str, ...]
    window_us: int
    span_us: int
    held_back: tuple[str, ...]  # none, if the checkpoint doesn't say


def trained_on(
    checkpoint: Path,
    annotation: Path | str | None,
    image_size: tuple[int, int] | None,
    tell: Callable[[str], None],
) -> TrainedOn:
    """What an export has to know, from who knows it.

    Args:
        annotation: an annotation file, whose labels are the class order; None to take the checkpoint's.
        image_size: (height, width); None to take the checkpoint's, or else the paper's 100x100.
        tell: is told which defaults were taken.

    Raises:
        CheckpointError: it can't be read.
        DataSetError: the annotation can't be.
        ExportError: one of them contradicts the checkpoint, or nobody says what the labels are.
    """
    known = read_facts(checkpoint)
    return TrainedOn(
        _image_size(checkpoint, known.image_size, image_size, tell),
        _labels(checkpoint, known.labels, annotation),
        known.window_us or WINDOW_US,
        known.span_us or SPAN_US,
        known.held_back or (),
    )


def _image_size(
    checkpoint: Path,
    known: tuple[int, int] | None,
    given: tuple[int, int] | None,
    tell: Callable[[str], None],
) -> tuple[int, int]:
    if known is None and given is None:
        usual = NetworkConfig().image_size
        tell(
            f"{checkpoint} doesn't say of which size its images were: {_shown(usual)} is taken, as the paper has it; "
            "--image-size HEIGHTxWIDTH takes another"
        )
        return usual
    if known is not None and given not in (None, known):
        assert given is not None
        raise ExportError(
            f"{checkpoint}: was trained on images of {_shown(known)} pixels (height x width), and --image-size says "
            f"{_shown(given)}; leave it out"
        )
    size = known or given
    assert size is not None
    return size


def _labels(checkpoint: Path, known: tuple[str, ...] | None, annotation: Path | str | None) -> tuple[str, ...]:
    if annotation is None:
        if known is None:
            raise ExportError(
                f"{checkpoint}: doesn't say what its outputs stand for; give --annotation FILE, the annotation of the "
                "data set that it was trained on (SEE/emotion.json)"
            )
        return known
    given = read_labels(annotation)
    if known not in (None, given):
        assert known is not None
        raise ExportError(
            f"{annotation}: its labels are {', '.join(given)}, and the checkpoint's own {', '.join(known)}; leave "
            "--annotation out"
        )
    return given


def check_labels(see: Path, labels: tuple[str, ...]) -> None:
    """
    Args:
        see: a data set's folder.
        labels: of the checkpoint.

    Raises:
        DataSetError: the data set's annotation can't be read.
        ExportError: it has other labels.
    """
    found = read_labels(see / ANNOTATION)
    if found != labels:
        raise ExportError(
            f"{see}: its labels are {', '.join(found)}, and those of the checkpoint, by its annotation, "
            f"{', '.join(labels)}; give the data set that it was trained with"
        )


def _shown(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
