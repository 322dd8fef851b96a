"""What a network is shown in place of a clip: four images, each the clip's own or from elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from canthus.parts import ENCODERS, EVENT_ENCODERS, FIRST, FRAME_ENCODERS

EVERYTHING, REDRAWN = "everything", "another clip of the sequence"
"""The rows that the others are compared with."""


@dataclass(frozen=True)
class Half:
    """Two of the four images: a modality, or a moment.

    Attributes:
        name: what it is called.
        images: which ones, as `canthus.parts.ENCODERS` calls them.
        plural: whether the name is one.
    """

    name: str
    images: tuple[str, ...]
    plural: bool = False


FRAMES = Half("frames", FRAME_ENCODERS, plural=True)
EVENTS = Half("events", EVENT_ENCODERS, plural=True)
FIRST_MOMENT = Half("first moment", FIRST)
LAST_MOMENT = Half("last moment", tuple(name for name in ENCODERS if name not in FIRST))

HALVES = (FRAMES, EVENTS, FIRST_MOMENT, LAST_MOMENT)


@dataclass(frozen=True)
class Sources:
    """Where images are taken from: rows of `Encoded.features`.

    Attributes:
        own: (R, N), of the clip of each sequence in each run.
        others: (R, N), of the clip of another sequence in the same run.
        redrawn: (R, N), of another clip of the same sequence.
        nothing: of a black frame and an event image without events; None if there is none.
    """

    own: NDArray[np.int64]
    others: NDArray[np.int64]
    redrawn: NDArray[np.int64]
    nothing: int | None


def everything(sources: Sources) -> NDArray[np.int64]:
    """Each clip as it is: rows (R, N, 4), in the order of `ENCODERS`. The functions below give the same shape."""
    return np.repeat(sources.own[..., None], len(ENCODERS), -1)


def of_others(half: Half, sources: Sources) -> NDArray[np.int64]:
    """`half` from the clip of another sequence."""
    return _replaced(half, sources, sources.others)


def all_redrawn(sources: Sources) -> NDArray[np.int64]:
    """All of it from another clip of the same sequence: as much is to be seen there, at another time."""
    return np.repeat(sources.redrawn[..., None], len(ENCODERS), -1)


def blank(half: Half, sources: Sources) -> NDArray[np.int64]:
    """`half` black, or without events; there has to be such a row."""
    assert sources.nothing is not None
    return _replaced(half, sources, np.full_like(sources.own, sources.nothing))


def _replaced(half: Half, sources: Sources, by: NDArray[np.int64]) -> NDArray[np.int64]:
    rows = everything(sources)
    for image in half.images:
        rows[..., ENCODERS.index(image)] = by
    return rows
