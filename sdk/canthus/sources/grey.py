"""Frames as sources have them, in grey levels of 8 bits."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from canthus.errors import FrameError

_DEPTHS = (10, 12, 14, 16)
"""Bits of the sensors whose frames come in numbers of 16 bits."""


class GreyFrames:
    """Brings one camera's frames to 8 bits.

    Frames in numbers of 16 bits hold 10, 12, 14 or 16, and don't tell which: the fewest that hold all values so far,
    so that dark frames are not made brighter again once a bright one was seen.
    """

    def __init__(self) -> None:
        self._bits = _DEPTHS[0]

    def __call__(self, image: Any) -> NDArray[np.uint8]:
        """
        Args:
            image: uint8 or uint16, (height, width) or (height, width, 1); None for an empty one, as dv-processing has.

        Returns:
            uint8 (height, width); an empty one is of (0, 0).

        Raises:
            FrameError: in colour, or of other numbers.
        """
        if image is None or image.size == 0:
            return np.empty((0, 0), np.uint8)
        if image.ndim == 3 and image.shape[2] == 1:
            image = image[:, :, 0]
        if image.ndim != 2:
            raise FrameError(
                "its frames are in colour; canthus reads grey ones, as SEE's are: set the camera to such, or record "
                "again"
            )
        if image.dtype == np.uint8:
            grey: NDArray[np.uint8] = image
            return grey
        if image.dtype != np.uint16:
            raise FrameError(
                f"its frames are of {image.dtype}; canthus reads grey levels of 8 to 16 bits, uint8 or uint16: set the "
                "camera to such"
            )
        largest = int(image.max())
        self._bits = max(self._bits, next(bits for bits in _DEPTHS if largest < 1 << bits))
        shifted: NDArray[np.uint8] = (image >> (self._bits - 8)).astype(np.uint8)
        return shifted
