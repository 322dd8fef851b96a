"""Clips as a network's encoders give them: each is decoded and encoded once, however often it is shown."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from canthus.errors import EvaluationError
from canthus.parts import ENCODERS
from canthus_model.config import NO_EVENT
from canthus_model.evaluate.ablation.models import PartedModel
from canthus_model.evaluate.ablation.shown import EVENTS, FRAMES
from canthus_model.see.batches import batches
from canthus_model.see.dataset import See
from canthus_model.see.moments import Clips


@dataclass(frozen=True)
class Encoded:
    """The clips of some runs.

    Attributes:
        clips: (R, N), the clip of each sequence in each run: a row of `features`. Two runs may have drawn the same one.
        features: float32 (rows, F) for each of `ENCODERS`, by its name.
        flat: the names of the modalities of which every image is one and the same grey, as where one was not recorded.
        nothing: the row of a black frame, or of an event image without events; None if there is none.
    """

    clips: NDArray[np.int64]
    features: dict[str, NDArray[np.float32]]
    flat: tuple[str, ...]
    nothing: int | None = None


def encode_clips(
    model: PartedModel,
    see: See,
    *,
    runs: int,
    seed: int,
    batch: int,
    workers: int,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Encoded:
    """Draw the clips that `canthus_model.evaluate.runs.evaluate` draws, and encode them; the arguments are the same.

    Raises:
        DataSetError: an image that can't be decoded.
        EvaluationError: an encoder gives NaN or infinity.
    """
    clips = Clips(see, seed)
    drawn, keys = number_clips(clips, runs)
    parts: list[dict[str, NDArray[np.float32]]] = []
    levels: dict[str, set[int]] = {FRAMES.name: set(), EVENTS.name: set()}
    done = 0
    with contextlib.closing(batches(clips, keys, batch, workers)) as shown:
        for frame, event, indices in shown:
            parts.append(model.encode(frame, event))
            for name, images in ((FRAMES.name, frame), (EVENTS.name, event)):
                levels[name] |= {int(images.min()), int(images.max())}
            done += len(indices)
            report(done, len(keys))
    parts.append(model.encode(*_nothing(clips.image_size)))
    features = {name: np.concatenate([part[name] for part in parts]) for name in ENCODERS}
    if not all(np.isfinite(rows).all() for rows in features.values()):
        raise EvaluationError("an encoder of the model gave NaN or infinity; it computes nothing usable here")
    flat = tuple(name for name, found in levels.items() if len(found) == 1)
    return Encoded(drawn, features, flat, nothing=len(keys))


def number_clips(clips: Clips, runs: int) -> tuple[NDArray[np.int64], list[tuple[int, int]]]:
    """Number the clips of some runs: (R, N), and for each number where it first comes, (run, sequence).

    Two runs may have drawn the same clip of a sequence, which then has one number.
    """
    rows: dict[tuple[int, tuple[int, int]], int] = {}
    drawn = np.empty((runs, len(clips)), np.int64)
    keys = []
    for key in np.ndindex(drawn.shape):
        clip = (key[1], clips.moments(key))
        if clip not in rows:
            rows[clip] = len(rows)
            keys.append(key)
        drawn[key] = rows[clip]
    return drawn, keys


def _nothing(size: tuple[int, int]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    return np.zeros((1, 2, *size), np.uint8), np.full((1, 2, *size), NO_EVENT, np.uint8)
