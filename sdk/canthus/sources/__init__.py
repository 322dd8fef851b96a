"""Where events and frames come from: recordings, sequence folders and cameras, all with one small face."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from canthus.errors import SourceError
from canthus.events import Events


class Frame(NamedTuple):
    """A grey frame, uint8 (height, width), and its time in microseconds of the sensor's clock."""

    image: NDArray[np.uint8]
    time_us: int


class Images(NamedTuple):
    """A frame and an event image of the same moment, uint8 (height, width) each."""

    frame: NDArray[np.uint8]
    event: NDArray[np.uint8]
    time_us: int


Packet = Events | Frame | Images


class Source(Protocol):
    """Packets, from a recording in the order of their times; a context manager that lets go of file or camera."""

    @property
    def sensor(self) -> tuple[int, int]:
        """(width, height) in pixels."""

    @property
    def is_live(self) -> bool:
        """Whether packets come when they happen, and not as fast as they are read."""

    def __iter__(self) -> Iterator[Packet]: ...

    def __enter__(self) -> Source: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def open(path: Path | str) -> Source:
    """Open an AEDAT4 recording, a sequence of SEE by its folder of frames (`SEE/frame/LABEL/NAME`), or a live camera.

    "camera" is the first of iniVation's on USB; "tcp://HOST:PORT,PORT" are two streams of dv-processing's
    NetworkWriter, of events and of frames.

    Raises:
        SourceError: there is nothing there, or nothing that canthus can read.
    """
    if path == "camera" or str(path).startswith("tcp:"):
        from canthus.sources.dv_live import open_camera, open_network

        return open_camera() if path == "camera" else open_network(str(path))
    path = Path(path)
    if path.is_dir():
        from canthus.sources.see import SeeSequence

        return SeeSequence(path)
    if not path.exists():
        raise SourceError(f"{path}: no such file or folder")
    if path.suffix != ".aedat4":
        raise SourceError(f"{path}: not an .aedat4 recording nor a folder of a SEE sequence")
    from canthus.sources.aedat4 import Aedat4Recording

    return Aedat4Recording(path)
