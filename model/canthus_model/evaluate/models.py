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
        labels: of the data set, in its order. The outputs of a checkpoint that doesn't name them are taken to be in
            this order.
        image_size: (height, width) in pixels of the data set's images, resized.
        threads: that a bundle's engine may use; a checkpoint takes those of PyTorch.
        weights: which network of a checkpoint, where it holds several.

    Raises:
        CheckpointError, BundleError, EngineError: the file can't be used; the labels or the image size that it names
            aren't the data set's.
        EvaluationError: no such file, or neither kind, by the end of its name.
    """
    path = Path(path)
    check_model(path)
    if path.suffix == CHECKPOINT:
        return CheckpointModel(*open_checkpoint(path, labels, image_size, weights))
    return BundleModel(open_bundle(path, labels, image_size, threads, weights), labels)


def open_checkpoint(
    path: Path, labels: tuple[str, ...], image_size: tuple[int, int], weights: str | None = None
) -> tuple[MCOENet, list[int]]:
    """The network of a checkpoint, and the place of each of `labels` in its outputs; as `open_model`."""
    facts = read_facts(path)
    own = facts.labels or labels
    again = "evaluate it on the data set that it was trained for"
    _check(path, own, facts.image_size or image_size, labels, image_size, again, CheckpointError)
    return load_network(path, image_size, weights, _tell), [own.index(label) for label in labels]


def open_bundle(
    path: Path,
    labels: tuple[str, ...],
    image_size: tuple[int, int],
    threads: int = 2,
    weights: str | None = None,
    backend: str = "auto",
) -> Engine:
    """The engine of a bundle; as `open_model`.

    Args:
        backend: as `canthus.load` takes it.
    """
    if weights is not None:
        raise EvaluationError(f"{path}: a bundle holds one network: leave out --weights")
    engine = canthus.load(path, backend, threads)
    height, width = image_size
    again = f"export the checkpoint again with canthus export --image-size {height}x{width}"
    _check(path, engine.labels, engine.image_size, labels, image_size, again, BundleError)
    return engine


def _check(
    path: Path,
    told_apart: tuple[str, ...],
    taken: tuple[int, int],
    labels: tuple[str, ...],
    image_size: tuple[int, int],
    again: str,
    kind: type[Error],
) -> None:
    """Raise `kind` unless the labels and the image size that a model has are the data set's."""
    if set(told_apart) != set(labels):
        raise kind(
            f"{path}: tells {', '.join(told_apart)} apart, and the data set {', '.join(labels)}; "
            "evaluate it on the data set that it was trained for"
        )
    if taken != image_size:
        (taken_height, taken_width), (height, width) = taken, image_size
        raise kind(
            f"{path}: takes images of {taken_height}x{taken_width} pixels (height x width), and those of the data "
            f"set are {height}x{width}; {again}"
        )


def _tell(text: str) -> None:
    print(f"canthus: {text}", file=sys.stderr)


class CheckpointModel:
    """The network of a checkpoint, in PyTorch on the CPU; its probabilities are put into the order of the data set."""

    def __init__(self, network: MCOENet, order: list[int]) -> None:
        """`order` is the place of each of the data set's labels in the network's outputs."""
        self._network, self._order = network, order

    def probabilities(self, frame: NDArray[np.uint8], event: NDArray[np.uint8]) -> NDArray[np.float32]:
        """As `Model.probabilities`."""
        with torch.inference_mode():
            logits = self._network(torch.from_numpy(frame), torch.from_numpy(event))
            return torch.softmax(logits, 1).numpy()[:, self._order]


class BundleModel:
    """A bundle, in its engine; its probabilities are put into the order of `labels`."""

    def __init__(self, engine: Engine, labels: tuple[str, ...]) -> None:
        self._engine = engine
        self._order = [engine.labels.index(label) for label in labels]

    def probabilities(self, frame: NDArray[np.uint8], event: NDArray[np.uint8]) -> NDArray[np.float32]:
        """As `Model.probabilities`."""
        first = self._engine.prime(frame[:, 0], event[:, 0])
        return self._engine.react(frame[:, 1], event[:, 1], first).probabilities[:, self._order]
