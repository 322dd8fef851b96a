"""Whose clip a network is shown in place of one's own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from canthus.errors import EvaluationError
from canthus_model.see.names import SequenceName


def draw_others(names: Sequence[SequenceName], runs: int, seed: int) -> NDArray[np.int64]:
    """For each run and sequence another sequence, int64 (runs, N): places in `names`, drawn anew in each run.

    It is of the same lighting and another volunteer; where there is none, of the same lighting; else of another
    volunteer; else any other one.

    Raises:
        EvaluationError: there is one sequence alone.
    """
    if len(names) < 2:
        raise EvaluationError("one sequence alone: there is none to show the images of instead; take more of SEE")
    pools = _pools(names)
    random = np.random.default_rng([seed, runs])
    return np.array([[random.choice(pool) for pool in pools] for _ in range(runs)], np.int64)


def _pools(names: Sequence[SequenceName]) -> list[NDArray[np.int64]]:
    lighting = np.array([name.lighting for name in names])
    volunteer = np.array([name.volunteer for name in names])
    pools = []
    for place, name in enumerate(names):
        alike, stranger = lighting == name.lighting, volunteer != name.volunteer
        other = np.arange(len(names)) != place
        choices = (alike & stranger, alike & other, stranger, other)
        pools.append(np.flatnonzero(next(choice for choice in choices if choice.any())))
    return pools


def draw_again(clips: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each run and sequence another clip of the same sequence, (R, N).

    Args:
        clips: (R, N), which clip was drawn; two runs may have drawn the same one.

    Returns:
        That of the next run with another one; where all runs drew the same one, as in a sequence as short as a clip,
        it stays.
    """
    again = clips.copy()
    for ahead in range(len(clips) - 1, 0, -1):  # the nearest comes last, and stays
        next_ones = np.roll(clips, -ahead, axis=0)
        again = np.where(next_ones != clips, next_ones, again)
    return again
