"""A sequence of the SEE data set: two folders of numbered JPEGs, frames and event images."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from canthus.errors import SourceError
from canthus.imports import importing
from canthus.sources import Images, Packet
from canthus.view import View

FRAMES_PER_SECOND = 30
_ENDINGS = (".jpg", ".jpeg")  # in whatever case


class SeeSequence:
    """`SEE/frame/LABEL/NAME`, with its event images in `SEE/event/LABEL/NAME`.

    Raises:
        SourceError: no such folders, no or other numbers of images, or Pillow isn't installed.
    """

    is_live = False
    view = View()

    def __init__(self, path: Path) -> None:
        frames = _images(path)
        if not frames:
            raise SourceError(f"{path}: holds no .jpg images; give the frames of a sequence, SEE/frame/LABEL/NAME")
        parts = path.absolute().parts
        if len(parts) < 4 or parts[-3] != "frame":
            raise SourceError(f"{path}: not the frames of a SEE sequence, which lie in SEE/frame/LABEL/NAME")
        folder = Path(*parts[:-3], "event", *parts[-2:])
        events = _images(folder)
        if absent := [folder / frame.name for number, frame in frames.items() if number not in events]:
            raise SourceError(f"{absent[0]}: missing; every frame needs its event image ({len(absent)} are missing)")
        self._frames = [frames[number] for number in sorted(frames)]
        self._events = [events[number] for number in sorted(frames)]
        height, width = _read(self._frames[0]).shape
        self.sensor = (width, height)

    def __enter__(self) -> SeeSequence:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def __iter__(self) -> Iterator[Packet]:
        """Image n, by the number in its name, is at n / 30 seconds."""
        for frame, event in zip(self._frames, self._events, strict=True):
            yield Images(self._read(frame), self._read(event), int(frame.stem) * 1_000_000 // FRAMES_PER_SECOND)

    def _read(self, path: Path) -> NDArray[np.uint8]:
        image = _read(path)
        width, height = self.sensor
        if image.shape != (height, width):
            raise SourceError(
                f"{path}: is {image.shape[1]} x {image.shape[0]} pixels, the sequence's first {width} x {height}"
            )
        return image


def _images(folder: Path) -> dict[int, Path]:
    """By number. What a Mac or Windows has put beside them, as ._00003.jpg and .DS_Store, is passed over."""
    paths = folder.iterdir() if folder.is_dir() else ()
    images = (path for path in paths if path.suffix.lower() in _ENDINGS and not path.name.startswith("."))
    return {_number(path): path for path in images}


def _number(path: Path) -> int:
    if not (path.stem.isascii() and path.stem.isdigit()):
        raise SourceError(f"{path}: not named by its number, as 00000.jpg is, which gives its time; remove it")
    return int(path.stem)


def _read(path: Path) -> NDArray[np.uint8]:
    with importing("PIL", "pip install 'canthus[see]'", SourceError, f"{path}: can't be read: "):
        from PIL import Image
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("L"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise SourceError(f"{path}: not a readable image ({error}); copy the data set again") from error
