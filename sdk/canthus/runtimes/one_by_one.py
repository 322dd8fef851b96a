"""Batches on runtimes that take one image at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from canthus.runtimes import Floats


def one_by_one(run: Callable[[Sequence[Any]], Sequence[Floats]], batch: Sequence[Any]) -> list[Floats]:
    """The outputs (B, ...) of a batch of inputs (B, ...), whose items `run` takes one after the other."""
    answers = [run([values[i : i + 1] for values in batch]) for i in range(len(batch[0]))]
    return [np.concatenate(parts) for parts in zip(*answers, strict=True)]
