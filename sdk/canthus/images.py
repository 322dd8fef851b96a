"""What all images are: grey levels in numpy arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from canthus.errors import FrameError


def check_grey(name: str, image: Any) -> None:
    """Raise FrameError unless `image`, called `name` in the error, is a numpy array of uint8."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        kind = image.dtype if isinstance(image, np.ndarray) else type(image).__name__
        raise FrameError(f"the {name} is {kind}, not a numpy array of uint8 grey levels, 0 to 255")
