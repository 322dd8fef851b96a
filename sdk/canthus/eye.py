"""Whether an eye is in view, open, and like those that were seen before: a small network over small pictures."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from canthus.errors import BundleError
from canthus.eye_inputs import eye_inputs

MEMBER = "eye.npz"
_MOST_HIDDEN = 1024
_ARRAYS = ("first", "first_bias", "second", "second_bias", "mean", "components")


@dataclass(frozen=True)
class Thresholds:
    """Scores above which a moment's images are no eye's, an eye's unlike all that were seen, a shut eye's."""

    no_eye: float
    unfamiliar: float
    closed: float


@dataclass(frozen=True)
class Eye:
    """What a bundle's manifest tells of its eye check.

    Attributes:
        thresholds: of the scores.
        volunteers: whose eyes it was shown.
        held: how many others set the thresholds.
        refused: part of the pictures of their eyes that are taken for no eye's, or for unfamiliar, 0 to 1.
        told: part of the pictures of no eye that are taken for that, 0 to 1.
        closed_told: part of the pictures of shut eyes that are taken for that, 0 to 1.
    """

    thresholds: Thresholds
    volunteers: int
    held: int
    refused: float
    told: float
    closed_told: float


class Scores(NamedTuple):
    """Of N moments, float32 (N,) each: the higher, the less it looks like an eye, like one that was seen, like an
    open one."""

    no_eye: NDArray[np.float32]
    unfamiliar: NDArray[np.float32]
    closed: NDArray[np.float32]


@dataclass(frozen=True)
class EyeCheck:
    """Scores one moment's images.

    One hidden layer tells no eye, and a shut one, from an open one. It learned them from pictures that it was shown,
    so of one that is like none of these it may be wrong and sure; such a one is far from all that the principal
    components of frames can say.

    Attributes:
        first: float32 (inputs, hidden), for what `eye_inputs` gives.
        first_bias: float32 (hidden,).
        second: float32 (hidden, 2), for no eye and for a shut one.
        second_bias: float32 (2,).
        mean: float32 (places,), of the small frames of eyes.
        components: float32 (places, components), orthonormal.
    """

    first: NDArray[np.float32]
    first_bias: NDArray[np.float32]
    second: NDArray[np.float32]
    second_bias: NDArray[np.float32]
    mean: NDArray[np.float32]
    components: NDArray[np.float32]

    def scores(self, inputs: NDArray[np.float32]) -> Scores:
        """Of what `eye_inputs` gave, (N, inputs)."""
        hidden = np.maximum(inputs @ self.first + self.first_bias, 0)
        told = hidden @ self.second + self.second_bias
        off = inputs[:, : self.mean.size] - self.mean
        said = off @ self.components
        left = np.einsum("np,np->n", off, off) - np.einsum("nc,nc->n", said, said)
        return Scores(told[:, 0], left / np.float32(self.mean.size), told[:, 1])

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
        places = (inputs - 3) // 2
        hidden, components = (array.shape[-1] if array.ndim == 2 else 0 for array in (found.first, found.components))
        shapes = {
            "first": (inputs, hidden),
            "first_bias": (hidden,),
            "second": (hidden, 2),
            "second_bias": (2,),
            "mean": (places,),
            "components": (places, components),
        }
        if not (0 < hidden <= _MOST_HIDDEN and 0 < components <= places) or not all(
            (array := getattr(found, name)).shape == shape and array.dtype == np.float32 and np.isfinite(array).all()
            for name, shape in shapes.items()
        ):
            raise BundleError(f"{path}: {MEMBER} doesn't fit the manifest; export the bundle again")
        return found
