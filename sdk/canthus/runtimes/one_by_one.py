"""Batches on runtimes that take one image at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from canthus.runtimes import Floats

Inputs = Mapping[str, NDArray[Any]]
"""By name; (B, ...) each, of a batch of B."""


def one_by_one(run: Callable[[Inputs], Sequence[Floats]], batch: Inputs) -> list[Floats]:
    """The outputs (B, ...) of a batch, whose items `run` takes one after the other."""
    count = len(next(iter(batch.values())))
    answers = [run({name: values[i : i + 1] for name, values in batch.items()}) for i in range(count)]
    return [np.concatenate(parts) for parts in zip(*answers, strict=True)]
