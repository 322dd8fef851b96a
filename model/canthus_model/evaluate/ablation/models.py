"""Checkpoints and bundles cut in two: encoders, and the head that answers from their features."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from canthus.bundle import read_bundle
from canthus.network import open_network
from canthus.operators import library_path
from canthus.parts import ENCODERS, shown
from canthus.runtimes.onnxruntime import OnnxRuntime
from canthus_model.evaluate.models import CHECKPOINT, check_model, open_bundle, open_checkpoint
from canthus_model.experts import top_experts
from canthus_model.network import MCOENet

Features = dict[str, NDArray[np.float32]]
"""Float32 (B, F) for each of `canthus.parts.ENCODERS`, by its name."""


class Answers(NamedTuple):
    """What a head says.

    Attributes:
        label: int64 (B,), the likeliest one: its place in the data set's labels.
        experts: bool (B, 8), which ones were asked.
    """

    label: NDArray[np.int64]
    experts: NDArray[np.bool_]


class Answering(Protocol):
    """A head, or all of a model that can be ablated."""

    def answer(self, features: Features) -> Answers:
        """From what its encoders give, or from a mixture of such features."""
        ...


class PartedModel(Answering, Protocol):
    """Anything that can be shown clips, and ablated."""

    def encode(self, frame: NDArray[np.uint8], event: NDArray[np.uint8]) -> Features:
        """Of frames and event images (B, 2, H, W), first and last."""
        ...


class NetworkParts:
    """The network of a checkpoint, in PyTorch on the CPU.

    Args:
        network: in evaluation mode; hooks that are put on it work on `answer`.
        order: the place of each of the data set's labels in the network's outputs.
    """

    def __init__(self, network: MCOENet, order: list[int]) -> None:
        self.network, self._order = network, order

    def encode(self, frame: NDArray[np.uint8], event: NDArray[np.uint8]) -> Features:
        """As `PartedModel.encode`."""
        with torch.inference_mode():
            encoded = self.network.encode(torch.from_numpy(frame), torch.from_numpy(event))
        return {name: features.numpy() for name, features in encoded.items()}

    def answer(self, features: Features) -> Answers:
        """As `PartedModel.answer`."""
        with torch.inference_mode():
            out = self.network.fuse({name: torch.from_numpy(array) for name, array in features.items()})
            asked = top_experts(out["router_logits"]) > 0
        return Answers(out["logits"].numpy()[:, self._order].argmax(1), asked.numpy())


class BundleParts:
    """A bundle's parts in ONNX Runtime, whatever else is here: it is the one that runs the head alone.

    Args:
        order: as `NetworkParts` takes it.
        threads: that it may use.
    """

    def __init__(self, path: Path, order: list[int], threads: int) -> None:
        self._order = order
        self._parts = open_network(OnnxRuntime(library_path()), read_bundle(path).graphs(), threads)

    def encode(self, frame: NDArray[np.uint8], event: NDArray[np.uint8]) -> Features:
        """As `PartedModel.encode`."""
        images = {name: np.ascontiguousarray(shown(name, frame, event)) for name in ENCODERS}
        return {name: self._parts.encoders[name].encode(images[name]) for name in ENCODERS}

    def answer(self, features: Features) -> Answers:
        """As `PartedModel.answer`."""
        logits, _, experts = self._parts.head.answer([features[name] for name in ENCODERS])
        return Answers(logits[:, self._order].argmax(1), experts > 0)


def open_parts(
    path: Path, labels: tuple[str, ...], image_size: tuple[int, int], threads: int = 2, weights: str | None = None
) -> NetworkParts | BundleParts:
    """As `canthus_model.evaluate.models.open_model`, cut in two; arguments and errors are the same."""
    check_model(path)
    if path.suffix == CHECKPOINT:
        return NetworkParts(*open_checkpoint(path, labels, image_size, weights))
    engine = open_bundle(path, labels, image_size, threads, weights, backend="onnxruntime")
    return BundleParts(path, [engine.labels.index(label) for label in labels], threads)
