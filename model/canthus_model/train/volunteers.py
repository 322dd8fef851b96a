"""Training volunteers who are held back, so that an epoch can be chosen by people whom the network never saw."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from canthus.errors import TrainingError
from canthus_model.see.annotation import Entry
from canthus_model.see.dataset import See


def draw_volunteers(entries: Sequence[Entry], number: int, seed: int) -> tuple[str, ...]:
    """Which `number` of the volunteers in `entries` are held back, as sequence names have them, in their order.

    The same seed gives the same ones, whatever the order of the entries; a larger number takes the same ones and more.

    Raises:
        TrainingError: no volunteer would be left.
    """
    volunteers = sorted({entry.parts.volunteer for entry in entries})
    if number >= len(volunteers):
        remedy = f"give {len(volunteers) - 1} or fewer" if len(volunteers) > 1 else "leave it out"
        raise TrainingError(
            f"--validation {number}: leaves nobody to train on, as there {_are(len(volunteers))}; {remedy}"
        )
    return tuple(sorted(np.random.default_rng(seed).permutation(volunteers)[:number].tolist()))


def hold_back(see: See, volunteers: Collection[str]) -> tuple[See, See]:
    """The sequences of all other volunteers, and those of the `volunteers`."""
    held = [sequence.entry.parts.volunteer in volunteers for sequence in see.sequences]
    others, theirs = (
        tuple(sequence for sequence, is_held in zip(see.sequences, held, strict=True) if is_held == wanted)
        for wanted in (False, True)
    )
    return replace(see, sequences=others), replace(see, sequences=theirs)


def _are(volunteers: int) -> str:
    return f"are {volunteers} training volunteers" if volunteers != 1 else "is 1 training volunteer"
