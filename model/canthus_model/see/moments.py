"""The two moments of a clip as a network takes them: decoded, resized, grey."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from canthus.errors import DataSetError
from canthus.imports import importing
from canthus_model.see.clips import middle_clip, random_clip
from canthus_model.see.dataset import See, image_path

SHORTER_SIDE = 100  # pixels


class Sample(NamedTuple):
    """One clip, or a batch of them with an axis in front."""

    frame: Tensor  # uint8 (2, H, W): the first and the last moment
    event: Tensor  # uint8 (2, H, W)
    label: Tensor  # int64 (): place in the annotation's labels
    index: Tensor  # int64 (): place in the sequences


class Clips(torch.utils.data.Dataset[Sample]):
    """A clip of each sequence, drawn anew in each round.

    An item is asked for by (round, index of the sequence): an epoch of training and a run of the evaluation
    are rounds. The same seed, round and index give the same clip in whatever process it is drawn.
    """

    def __init__(self, see: See, seed: int = 0, *, middle: bool = False, keep: bool = False) -> None:
        """
        Args:
            middle: take the clip in the middle of each sequence instead, the same one in every round.
            keep: hold what was decoded in memory, up to `size_in_memory` in each process that decodes.
        """
        self._see, self._seed, self._middle = see, seed, middle
        self._kept: dict[Path, NDArray[np.uint8]] | None = {} if keep else None
        self._places = {label: place for place, label in enumerate(see.labels)}
        self._size = _resized(size_of(next(see.sequences[0].images())))

    @property
    def image_size(self) -> tuple[int, int]:
        """(height, width) in pixels of every image: the shorter side is 100."""
        return self._size[1], self._size[0]

    @property
    def size_in_memory(self) -> int:
        """Bytes of all images that clips may be made of."""
        images = sum(2 * (end - begin) for begin, end in (s.entry.segment for s in self._see.sequences))
        return images * self._size[0] * self._size[1]

    def __len__(self) -> int:
        return len(self._see.sequences)

    def moments(self, key: tuple[int, int]) -> tuple[int, int]:
        """Which frames the item is made of, first and last; two rounds may draw the same ones."""
        turn, index = key
        segment = self._see.sequences[index].entry.segment
        random = np.random.default_rng([self._seed, turn, index])
        return middle_clip(segment) if self._middle else random_clip(segment, random)

    def __getitem__(self, key: tuple[int, int]) -> Sample:
        """Raises DataSetError for an image that can't be decoded or has another shape than the first one."""
        _, index = key
        sequence = self._see.sequences[index]
        clip = self.moments(key)
        frame, event = (
            torch.from_numpy(np.stack([self._read(image_path(folder, number, ending)) for number in clip]))
            for folder, ending in sequence.folders()
        )
        return Sample(frame, event, torch.tensor(self._places[sequence.label]), torch.tensor(index))

    def _read(self, path: Path) -> NDArray[np.uint8]:
        if self._kept is None:
            return self._decode(path)
        if path not in self._kept:
            self._kept[path] = self._decode(path)
        return self._kept[path]

    def _decode(self, path: Path) -> NDArray[np.uint8]:
        from PIL import Image

        try:
            with Image.open(path) as image:
                size = _resized(image.size)
                if size == self._size:
                    return np.asarray(image.convert("L").resize(size, Image.Resampling.BILINEAR))
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise DataSetError(f"{path}: not a readable image ({error}); copy the data set again") from error
        raise DataSetError(
            f"{path}: becomes {size[0]}x{size[1]} pixels, and the data set's first image "
            f"{self._size[0]}x{self._size[1]}; all images of a data set must have one shape"
        )


def size_of(path: Path, *, decode: bool = False) -> tuple[int, int]:
    """(width, height) of an image as it is on disk; to `decode` it shows whether all of it can be.

    Raises:
        DataSetError: it isn't a readable image, or Pillow isn't installed.
    """
    with importing("PIL", "pip install 'canthus[see]'", DataSetError, "SEE can't be read: "):
        from PIL import Image
    try:
        with Image.open(path) as image:
            if decode:
                image.convert("L")
            return image.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataSetError(f"{path}: not a readable image ({error}); copy the data set again") from error


def _resized(size: tuple[int, int]) -> tuple[int, int]:
    """(width, height) with the shorter side at SHORTER_SIDE; the longer one is rounded down, as torchvision does."""
    shorter = min(size)
    width, height = (int(SHORTER_SIDE * side / shorter) for side in size)
    return width, height
