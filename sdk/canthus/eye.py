"""Whether there is an eye in view, by a small network of its own: one hidden layer over small pictures."""

from __future__ import annotations

import io
import zipfile
from collections import deque
from dataclasses import dataclass
from functools import cache
from statistics import median

import numpy as np
from numpy.typing import NDArray

from canthus.errors import BundleError
from canthus.visible import has_events

MEMBER = "eye.npz"
NO_EYE = "no eye"
ROWS = 25  # of the small pictures, about; their pixels are as wide as they are high
_WITHIN_US = 450_000  # the median of so long decides: an eye that blinks, or turns away for a moment, is one still
_MOST_HIDDEN = 1024
_ARRAYS = ("first", "first_bias", "second", "second_bias")


@dataclass(frozen=True)
class Eye:
    """What a bundle's manifest tells of its eye check.

    Attributes:
        threshold: of the score, above which there is no eye.
        volunteers: whose eyes it was shown.
        held: how many others set the threshold.
        refused: part of the pictures of their eyes that are above it, 0 to 1.
        told: part of the pictures of no eye that are, 0 to 1.
    """

    threshold: float
    volunteers: int
    held: int
    refused: float
    told: float


@dataclass(frozen=True)
class EyeCheck:
    """A score of one moment's images: the higher, the less it looks like the eyes that it was shown.

    Attributes:
        first: float32 (inputs, hidden), for what `eye_inputs` gives.
        first_bias: float32 (hidden,).
        second: float32 (hidden,).
        second_bias: float32 ().
    """

    first: NDArray[np.float32]
    first_bias: NDArray[np.float32]
    second: NDArray[np.float32]
    second_bias: NDArray[np.float32]

    def score(self, frame: NDArray[np.uint8], event: NDArray[np.uint8]) -> float:
        """Of one moment's images, uint8 (H, W), engine-sized."""
        return float(self.scores(eye_inputs(frame[None], event[None]))[0])

    def scores(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Of what `eye_inputs` gave, (N, inputs): float32 (N,)."""
        hidden = np.maximum(inputs @ self.first + self.first_bias, 0)
        found: NDArray[np.float32] = hidden @ self.second + self.second_bias
        return found

    def to_bytes(self) -> bytes:
        """The member that `from_bytes` reads."""
        buffer = io.BytesIO()
        np.savez(buffer, **vars(self))
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes, image_size: tuple[int, int], path: str) -> EyeCheck:
        """Read and check it.

        Args:
            image_size: (height, width) of the engine's images.
            path: of the bundle, for errors.

        Raises:
            BundleError: it is damaged, or doesn't fit these images.
        """
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                if any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist()):
                    raise ValueError("its arrays are compressed")
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                found = cls(**{name: arrays[name] for name in _ARRAYS})
        except (ValueError, KeyError, OSError, EOFError, MemoryError, zipfile.BadZipFile) as error:
            raise BundleError(f"{path}: {MEMBER} can't be read ({error}); export it again") from error
        inputs = len(eye_inputs(*np.zeros((2, 1, *image_size), np.uint8))[0])
        hidden = found.first.shape[1] if found.first.ndim == 2 else 0
        shapes = {"first": (inputs, hidden), "first_bias": (hidden,), "second": (hidden,), "second_bias": ()}
        if not 0 < hidden <= _MOST_HIDDEN or not all(
            (array := getattr(found, name)).shape == shape and array.dtype == np.float32 and np.isfinite(array).all()
            for name, shape in shapes.items()
        ):
            raise BundleError(f"{path}: {MEMBER} doesn't fit the manifest; export the bundle again")
        return found


class EyeWatch:
    """Of one stream: whether the last half second shows an eye. Time goes by the sensor's clock."""

    def __init__(self, check: EyeCheck, threshold: float) -> None:
        """`threshold`: a score above it is no eye's."""
        self._check, self._threshold = check, threshold
        self._scores: deque[tuple[int, float]] = deque()

    def why_not(self, time_us: int, frame: NDArray[np.uint8], event: NDArray[np.uint8]) -> str | None:
        """NO_EYE, or None where there is one.

        Args:
            time_us: of the moment; if it isn't after the one before, all before it is forgotten.
            frame, event: its images, uint8 (H, W), engine-sized.
        """
        if self._scores and time_us <= self._scores[-1][0]:
            self._scores.clear()
        self._scores.append((time_us, self._check.score(frame, event)))
        while self._scores[0][0] <= time_us - _WITHIN_US:
            self._scores.popleft()
        return NO_EYE if median(score for _, score in self._scores) > self._threshold else None


def eye_inputs(frame: NDArray[np.uint8], event: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What tells an eye, of images uint8 (N, H, W): float32 (N, inputs).

    That is the logarithm of a small frame, freed of brightness and contrast; how many events there are in each
    place; and brightness, contrast and the number of events as a whole.
    """
    return small_inputs(smaller(frame.astype(np.float32)), smaller(has_events(event).astype(np.float32)))


def small_inputs(frame: NDArray[np.float32], events: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same of pictures that `smaller` made: grey levels, and which part of the pixels has events."""
    light, many = frame.reshape(len(frame), -1), events.reshape(len(events), -1)
    places = light.shape[1]
    made = np.empty((len(frame), 2 * places + 3), np.float32)
    structure = made[:, :places]
    np.log(light + np.float32(2), out=structure)
    brightness = np.add.reduce(structure, 1, keepdims=True) / np.float32(places)
    structure -= brightness
    contrast = np.sqrt(np.einsum("np,np->n", structure, structure)[:, None] / np.float32(places))
    structure /= contrast + np.float32(0.03)
    np.sqrt(many, out=made[:, places : 2 * places])
    made[:, places : 2 * places] *= 3
    all_events = np.add.reduce(many, 1, keepdims=True) / np.float32(places)
    made[:, -3:-2] = brightness / 2
    made[:, -2:-1] = np.log(contrast + np.float32(0.01))
    made[:, -1:] = np.log(all_events + np.float32(0.003))
    return made


def smaller(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means of squares of pixels, of images (N, H, W): about ROWS in the shorter side; what is left over is cut off."""
    height, width = images.shape[1:]
    side = max(min(height, width) // ROWS, 1)
    rows, columns = _means(height, side), _means(width, side)
    return (rows @ images @ columns.T).astype(np.float32, copy=False)


@cache
def _means(length: int, side: int) -> NDArray[np.float32]:
    """(length // side, length): each row takes the mean of the next `side` values."""
    count = length // side
    means = np.zeros((count, length), np.float32)
    for place in range(count):
        means[place, place * side : (place + 1) * side] = 1 / side
    return means
