"""Which frames of a sequence a network is shown."""

from __future__ import annotations

import numpy as np

STRIDE = 4  # frames between the images of a clip
IMAGES = 4  # of a clip; the network reads the first and the last


def random_clip(segment: tuple[int, int], random: np.random.Generator) -> tuple[int, int]:
    """First and last frame of a clip drawn as SEEN and MCO-E Net draw theirs, in training and in testing.

    Every fourth frame is taken, from one of the first five on; of those, four consecutive ones from a random
    start, beginning again where a short sequence ends.

    Args:
        segment: first frame of the sequence and one past its last, at least 5 apart.
    """
    taken = range(segment[0] + int(random.integers(0, STRIDE + 1)), segment[1], STRIDE)
    start = int(random.integers(0, max(0, len(taken) - IMAGES - 1) + 1))
    clip = taken[start : start + IMAGES]
    return clip[0], clip[(IMAGES - 1) % len(clip)]


def middle_clip(segment: tuple[int, int]) -> tuple[int, int]:
    """First and last frame of the clip in the middle of a sequence, or all of one that is shorter."""
    span = min((IMAGES - 1) * STRIDE, segment[1] - segment[0] - 1)
    first = (segment[0] + segment[1] - 1 - span) // 2
    return first, first + span
