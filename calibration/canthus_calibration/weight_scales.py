"""The steps of int8 weights, one for each output of a layer, in 8 bits or in 7.

An x86 without VNNI multiplies unsigned by signed bytes with an instruction that adds the products of two neighbours in
16 bits, and saturates. Two products of 7-bit weights always fit: 2 * 255 * 64 = 32,640. Those of 8-bit ones may not, so
there such a layer is multiplied in 16 and added in 32 bits, which is exact and slower.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

WIDE, NARROW = 127, 64
"""The largest code of a weight in 8 bits, and in 7."""


def weight_scales(weight: NDArray[np.floating], largest_code: int) -> NDArray[np.float32]:
    """(outputs,), for a weight (outputs, ...): each output's largest magnitude becomes `largest_code`."""
    largest = np.abs(weight.reshape(len(weight), -1)).max(1)
    return np.where(largest > 0, largest / largest_code, 1).astype(np.float32)
