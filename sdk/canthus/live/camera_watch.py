"""What shows that a camera isn't well: its frames stop coming, are black, or are the same again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from canthus.live.health import Counts
from canthus.live.inbox import Inbox

STALL_NS = 200_000_000
"""A sensor without a frame for so long has stalled."""


class CameraWatch:
    """Counts what isn't well, and tells the inbox of it."""

    def __init__(self, counts: Counts, inbox: Inbox) -> None:
        self._counts = counts
        self._inbox = inbox
        self._arrived_ns: int | None = None
        self._last_image: NDArray[np.uint8] | None = None

    def frame_arrived(self, arrived_ns: int) -> None:
        """A frame came, whatever becomes of it."""
        before, self._arrived_ns = self._arrived_ns, arrived_ns
        if before is not None and arrived_ns - before > STALL_NS:
            self._counts.stalls += 1
            self._inbox.tell("stall", f"no frame for {(arrived_ns - before) / 1e9:.2f} s")

    def stalled(self, now_ns: int) -> bool:
        """Whether frames came, and have stopped coming."""
        return self._arrived_ns is not None and now_ns - self._arrived_ns > STALL_NS

    def is_alive(self, image: NDArray[np.uint8]) -> bool:
        """Not black, nor to the last bit the frame before: no sensor gives such."""
        black = not image.any()
        frozen = self._last_image is not None and np.array_equal(image, self._last_image)
        self._last_image = image
        self._counts.black_frames += black
        self._counts.frozen_frames += frozen
        if black or frozen:
            self._inbox.tell("dead frame", "a frame is black, or the same as the one before to the last bit")
        return not (black or frozen)

    def forget_image(self) -> None:
        """The stream begins anew: the next image has none before it."""
        self._last_image = None
