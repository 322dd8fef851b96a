"""Checkpoints and bundles, behind one face."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

import canthus
from canthus.engine import Engine
from canthus.errors import BundleError, CheckpointError, Error, EvaluationError
from canthus_model.checkpoint import load_network, read_facts
from canthus_model.evaluate.runs import Model
from canthus_model.network import MCOENet

BUNDLE, CHECKPOINT = ".canthus", ".pth"


def check_model(path: Path) -> None:
    """Raise EvaluationError unless `path` is a file whose name ends as a checkpoint's or a bundle's does."""
    if path.suffix not in (CHECKPOINT, BUNDLE):
        raise EvaluationError(f"{path}: neither a checkpoint ({CHECKPOINT}) nor a bundle ({BUNDLE}), by its name")
    if not path.is_file():
        raise EvaluationError(f"{path}: no such file")


def open_model(
    path: Path | str,
    labels: tuple[str, ...],
    image_size: tuple[int, int],
    threads: int = 2,
    weights: str | None = None,
) -> Model:
    """Open a checkpoint (.pth) or a bundle (.canthus) for the images and labels of a data set.

    Args:
        labels: of the data set, in its order. A checkpoint that doesn't name its outputs, as published ones don't, is
            taken to have this order.
        image_size: (height, width) in pixels of the data set's images, resized.
        threads: that a bundle's engine may use; a checkpoint takes those of PyTorch.
        weights: which network of a checkpoint, where it holds several.

    Raises:
        CheckpointError, BundleError, EngineError: the file can't be used; its labels or image size aren't the data
            set's.
        EvaluationError: no such file, or neither kind, by the end of its name.
    """
    path = Path(path)
    check_model(path)
    if path.suffix == CHECKPOINT:
        facts = read_facts(path)
        _check(path, facts.labels or labels, facts.image_size or image_size, labels, image_size, CheckpointError)
        network = load_network(path, image_size, weights, _tell)
        return CheckpointModel(network, _places(facts.labels or labels, labels))
    if weights is not None:
        raise EvaluationError(f"{path}: a bundle holds one network: leave out --weights")
    engine = canthus.load(path, threads=threads)
    _check(path, engine.labels, engine.image_size, labels, image_size, BundleError)
    return BundleModel(engine, _places(engine.labels, labels))


def _check(
    path: Path,
    own_labels: tuple[str, ...],
    own_size: tuple[int, int],
    labels: tuple[str, ...],
    image_size: tuple[int, int],
    raised: type[Error],
) -> None:
    """That a model is of the data set's labels and image size."""
    if set(own_labels) != set(labels):
        raise raised(
            f"{path}: tells {', '.join(own_labels)} apart, and the data set {', '.join(labels)}; evaluate it on the "
            "data set that it was trained for"
        )
    if own_size != image_size:
        (taken_height, taken_width), (height, width) = own_size, image_size
        remedy = "evaluate it on the data set that it was trained on"
        if raised is BundleError:
            remedy = f"export the checkpoint again with canthus export --image-size {height}x{width}"
        raise raised(
            f"{path}: takes images of {taken_height}x{taken_width} pixels (height x width), and those of the data "
            f"set are {height}x{width}; {remedy}"
        )


def _places(own_labels: tuple[str, ...], labels: tuple[str, ...]) -> list[int]:
    """Where each of the data set's labels stands among a model's own."""
    return [own_labels.index(label) for label in labels]


def _tell(text: str) -> None:
    print(f"canthus: {text}", file=sys.stderr)


class CheckpointModel:
    """The network of a checkpoint, in PyTorch on the CPU; its probabilities are put into an `order` of its outputs."""

    def __init__(self, network: MCOENet, order: list[int]) -> None:
        self._network, self._order = network, order

    def probabilities(self, frame: NDArray[np.uint8], event: NDArray[np.uint8]) -> NDArray[np.float32]:
        """As `Model.probabilities`."""
        with torch.inference_mode():
            logits = self._network(torch.from_numpy(frame), torch.from_numpy(event))
            return torch.softmax(logits, 1).numpy()[:, self._order]


class BundleModel:
    """A bundle, in its engine; its probabilities are put into an `order` of its outputs."""

    def __init__(self, engine: Engine, order: list[int]) -> None:
        self._engine, self._order = engine, order

    def probabilities(self, frame: NDArray[np.uint8], event: NDArray[np.uint8]) -> NDArray[np.float32]:
        """As `Model.probabilities`."""
        first = self._engine.prime(frame[:, 0], event[:, 0])
        return self._engine.react(frame[:, 1], event[:, 1], first).probabilities[:, self._order]
