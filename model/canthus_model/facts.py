"""What a checkpoint knows of itself beside its weights: which images, and which order of labels, it was trained on.

In the file it lies under the key `canthus`, plain values alone:

    {"image_size": [100, 133],                  height and width of the images, in pixels
     "labels": ["angry", ...],                  the seven, in the order of the network's outputs
     "normalisation": {"frame": {"mean": 0.22616537, "std": 0.118931554}, "event": {...}},
     "window_us": 33000,                        how long events are accumulated for one event image
     "span_us": 400000,                         from the first moment to the last
     "held_back": ["007", ...]}                 volunteers of the training subset whom it was not trained on

Any of them may be missing. Published checkpoints have none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from canthus.manifest import Normalisation
from canthus_model.config import EVENT, FRAME, LABELS, SPAN_US, WINDOW_US

KEY = "canthus"
"""Where a checkpoint has its facts."""

IMAGES = ("frame", "event")
_SIDE = (16, 4096)  # pixels, as in a manifest
_LONGEST_US = 1_000_000  # as in a manifest
_LONGEST_LABEL = 80


@dataclass(frozen=True)
class Facts:
    """What a network was trained on; None where the checkpoint doesn't say.

    Attributes:
        image_size: (height, width) of the images, in pixels.
        labels: in the order of the network's outputs.
        normalisation: of `frame` and of `event`.
        window_us: how long events are accumulated for one event image, in microseconds.
        span_us: time from the first moment to the last, in microseconds.
        held_back: volunteers of the training subset, as sequence names have them, whom it was not trained on.
    """

    image_size: tuple[int, int] | None = None
    labels: tuple[str, ...] | None = None
    normalisation: Mapping[str, Normalisation] | None = None
    window_us: int | None = None
    span_us: int | None = None
    held_back: tuple[str, ...] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as a checkpoint holds them, of what is known."""
        plain = {name: value for name, value in asdict(self).items() if value is not None}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()}

    @staticmethod
    def from_dict(plain: object) -> Facts:
        """What `as_dict` gave. Raises ValueError, naming what makes no sense."""
        if not isinstance(plain, dict):
            raise ValueError(f"what it has under '{KEY}' is no dictionary")
        readers = {
            "image_size": _image_size,
            "labels": _labels,
            "normalisation": _normalisation,
            "window_us": _microseconds,
            "span_us": _microseconds,
            "held_back": _volunteers,
        }
        read = {}
        for name, reader in readers.items():
            if name in plain and (value := reader(plain[name])) is None:
                raise ValueError(f"its {name} makes no sense under '{KEY}'")
            elif name in plain:
                read[name] = value
        return Facts(**read)


NOTHING = Facts()


def facts_of_training(image_size: tuple[int, int], labels: tuple[str, ...], held_back: tuple[str, ...]) -> Facts:
    """Of a network that canthus trains, on SEE or a data set of its layout."""
    return Facts(image_size, labels, {"frame": FRAME, "event": EVENT}, WINDOW_US, SPAN_US, held_back)


def _image_size(value: object) -> tuple[int, int] | None:
    if not isinstance(value, list) or len(value) != 2:
        return None
    height, width = value
    fits = all(type(side) is int and _SIDE[0] <= side <= _SIDE[1] for side in value)
    return (height, width) if fits else None


def _labels(value: object) -> tuple[str, ...] | None:
    if not isinstance(value, list) or not all(_is_label(label) for label in value):
        return None
    return tuple(value) if len(set(value)) == len(value) == len(LABELS) else None


def _volunteers(value: object) -> tuple[str, ...] | None:
    if not isinstance(value, list) or not all(_is_label(name) for name in value):
        return None
    return tuple(value)


def _is_label(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_LABEL and value.isprintable()


def _normalisation(value: object) -> dict[str, Normalisation] | None:
    if not isinstance(value, dict) or set(value) != set(IMAGES):
        return None
    read = {}
    for name in IMAGES:
        one = value[name]
        if not isinstance(one, dict) or set(one) != {"mean", "std"}:
            return None
        if not all(type(number) is float and math.isfinite(number) for number in one.values()) or one["std"] <= 0:
            return None
        read[name] = Normalisation(one["mean"], one["std"])
    return read


def _microseconds(value: object) -> int | None:
    return value if type(value) is int and 0 < value <= _LONGEST_US else None
