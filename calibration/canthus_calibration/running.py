"""Running graphs and parts of them over many clips."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from canthus.operators import library_path
from canthus.runtimes.onnxruntime import open_session

BATCH = 8
THREADS = 2

Array = NDArray[Any]


def opened(name: str, model: onnx.ModelProto) -> Any:
    """A session of a model, which errors call `name`."""
    return open_session(name, model.SerializeToString(), THREADS, library_path())


def run(session: Any, inputs: dict[str, Array]) -> list[Array]:
    """All outputs for inputs (N, ...)."""
    return [np.concatenate(parts) for parts in zip(*run_in_batches(session, inputs), strict=True)]


def run_in_batches(session: Any, inputs: dict[str, Array]) -> Iterator[list[Array]]:
    """As `run`, BATCH at a time."""
    for begin in range(0, len(next(iter(inputs.values()))), BATCH):
        yield session.run(None, {key: value[begin : begin + BATCH] for key, value in inputs.items()})
