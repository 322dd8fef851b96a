"""Where the parts of the eye lie in the picture: curves of the lids, crease and brow.

Pixel coordinates, x to the right and y downwards; every curve is one y per column of the picture.
"""

import numpy as np

WIDTH, HEIGHT = 346, 260  # of a DAVIS346

CENTRE = (172.0, 152.0)  # of the eyeball
EYEBALL_RADIUS = 92.0
IRIS_RADIUS = 0.49  # of the eyeball radius: 5.9 mm of 12 mm
INNER_CORNER = (64.0, 166.0)
OUTER_CORNER = (284.0, 148.0)

COLUMNS = np.arange(WIDTH, dtype=np.float32)
ALONG_LIDS = np.clip((COLUMNS - INNER_CORNER[0]) / (OUTER_CORNER[0] - INNER_CORNER[0]), 0, 1)
CORNER_LINE = np.interp(COLUMNS, (INNER_CORNER[0], OUTER_CORNER[0]), (INNER_CORNER[1], OUTER_CORNER[1])).astype(
    np.float32
)


def _arch(along: np.ndarray, peak: float, steepness: float = 0.85) -> np.ndarray:
    """A bump from 0 through 1 at `peak` to 0, over `along` from 0 to 1; flat at its ends above 1."""
    skewed = np.clip(along, 0, 1) ** (np.log(0.5) / np.log(peak))
    return ((4 * skewed * (1 - skewed)) ** steepness).astype(np.float32)


UPPER_ARCH = _arch(ALONG_LIDS, 0.44)
LOWER_ARCH = _arch(ALONG_LIDS, 0.56)
WIDE_ARCH = _arch((COLUMNS - 4) / 338, 0.48, 1.2)

UPPER_LID = CORNER_LINE - 47 * UPPER_ARCH  # relaxed and open
LOWER_LID = CORNER_LINE + 35 * LOWER_ARCH  # relaxed
CREASE = CORNER_LINE - 12 - 68 * WIDE_ARCH  # skin above it stays where it is when the lid moves
CHEEK = CORNER_LINE + 80  # skin below it stays where it is
BROW = 66 - 32 * _arch((COLUMNS - 20) / 330, 0.62)
BROW_REACH = 42.0  # pixels above the crease at which the skin moves fully with the brow


def lids(opening: float, squint: float) -> tuple[np.ndarray, np.ndarray]:
    """Edges of the upper and lower lid, (346,) float32 each: see `Pose` for the two arguments."""
    lower = LOWER_LID - 13 * squint * LOWER_ARCH
    upper = lower + opening * (UPPER_LID - lower)
    return np.maximum(upper, CREASE + 6), lower
