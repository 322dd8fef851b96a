"""Which clips calibration sees: as many from each lighting, balanced over emotions and volunteers."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from canthus.errors import CalibrationError
from canthus_model.see.batches import batches
from canthus_model.see.dataset import See
from canthus_model.see.moments import Clips
from canthus_model.see.names import LIGHTINGS, SequenceName


@dataclass(frozen=True)
class Drawn:
    """Clips of a data set, decoded.

    Attributes:
        frame, event: uint8 (N, 2, H, W): the first and the last moment of each.
        lighting: int64 (N,), places in LIGHTINGS.
        label: int64 (N,), places in the data set's labels.
        names: of the sequences that they are of, N of them.
        sha256: over the images and what they are, in hexadecimal.
    """

    frame: NDArray[np.uint8]
    event: NDArray[np.uint8]
    lighting: NDArray[np.int64]
    label: NDArray[np.int64]
    names: tuple[SequenceName, ...]
    sha256: str

    def __len__(self) -> int:
        return len(self.label)

    def those(self, some: NDArray[np.bool_] | NDArray[np.int64] | slice) -> Drawn:
        """The clips that `some` picks."""
        names = tuple(self.names[place] for place in np.arange(len(self))[some])
        return Drawn(self.frame[some], self.event[some], self.lighting[some], self.label[some], names, self.sha256)

    def counts(self) -> dict[str, int]:
        """How many there are in each lighting."""
        return {name: int((self.lighting == place).sum()) for place, name in enumerate(LIGHTINGS)}


def balanced(see: See, per_lighting: int, seed: int = 0) -> list[int]:
    """Places in `see.sequences` of `per_lighting` sequences from each lighting, one lighting after another.

    Emotions take turns; among the sequences of an emotion, one of the volunteer drawn least often comes next, and
    chance, which the seed fixes, decides between equals. No sequence is drawn twice.

    Raises:
        CalibrationError: a lighting has fewer sequences than that.
    """
    by_lighting = {
        name: [i for i, sequence in enumerate(see.sequences) if sequence.lighting == name] for name in LIGHTINGS
    }
    short = {name: len(places) for name, places in by_lighting.items() if len(places) < per_lighting}
    if short:
        have = ", ".join(f"{name} has {count or 'none'}" for name, count in short.items())
        most = len(LIGHTINGS) * min(map(len, by_lighting.values()))
        remedy = f"ask for --clips {most} or fewer, or add" if most else "add"
        raise CalibrationError(
            f"{see.root}: {per_lighting} sequences are wanted from each lighting, and {have} to draw from; "
            f"{remedy} sequences of {', '.join(short)}. Ranges from other light would fail there unseen"
        )
    random = np.random.default_rng([seed, per_lighting])
    return [place for places in by_lighting.values() for place in _take_turns(see, places, per_lighting, random)]


def _take_turns(see: See, places: list[int], count: int, random: np.random.Generator) -> list[int]:
    waiting: dict[str, list[int]] = {label: [] for label in see.labels}
    for place in random.permutation(places).tolist():
        waiting[see.sequences[place].label].append(place)
    drawn: list[int] = []
    times_drawn: Counter[str] = Counter()
    while len(drawn) < count:
        for of_label in filter(None, waiting.values()):
            rarest = min(of_label, key=lambda place: times_drawn[see.sequences[place].entry.parts.volunteer])
            of_label.remove(rarest)
            drawn.append(rarest)
            times_drawn[see.sequences[rarest].entry.parts.volunteer] += 1
    return drawn[:count]


def decode(
    see: See,
    keys: list[tuple[int, int]],
    seed: int = 0,
    workers: int = 2,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Drawn:
    """The clips of a data set that `keys`, (round, place in the sequences), ask for.

    Raises:
        DataSetError: an image can't be decoded.
    """
    frames, events, done = [], [], 0
    for batch in batches(Clips(see, seed), keys, 16, workers):
        frames.append(batch.frame)
        events.append(batch.event)
        done += len(batch.index)
        report(done, len(keys))
    sequences = [see.sequences[place] for _, place in keys]
    frame, event = np.concatenate(frames), np.concatenate(events)
    digest = hashlib.sha256("\n".join(sequence.name for sequence in sequences).encode())
    digest.update(frame.data)
    digest.update(event.data)
    return Drawn(
        frame,
        event,
        np.array([LIGHTINGS.index(sequence.lighting) for sequence in sequences]),
        np.array([see.labels.index(sequence.label) for sequence in sequences]),
        tuple(sequence.entry.parts for sequence in sequences),
        digest.hexdigest(),
    )


def check_size(see: See, image_size: tuple[int, int]) -> None:
    """Raise CalibrationError unless the data set's images, resized, are of the (height, width) that a network takes."""
    (taken_height, taken_width), (height, width) = image_size, Clips(see).image_size
    if image_size != (height, width):
        raise CalibrationError(
            f"{see.root}: its images are {height}x{width} pixels (height x width) when resized, and the network takes "
            f"{taken_height}x{taken_width}; export with --image-size {height}x{width}, if it was trained with these"
        )


def missing_emotions(see: See, drawn: Drawn) -> dict[str, list[str]]:
    """By lighting, the emotions that it has no clip of; lightings that have all are left out."""
    missing = {
        name: [label for place, label in enumerate(see.labels) if place not in drawn.label[drawn.lighting == number]]
        for number, name in enumerate(LIGHTINGS)
    }
    return {name: labels for name, labels in missing.items() if labels}
