"""Where events and frames come from: recordings, sequence folders and cameras, all with one small face."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from canthus.events import Events
from canthus.view import View


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

    view: View
    """How the camera is mounted; `watch` reads its packets so."""

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
