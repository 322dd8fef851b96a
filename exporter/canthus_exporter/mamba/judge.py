"""Whether what was computed is right: near PyTorch's answer, or as near to the truth as that is."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from canthus.errors import ExportError

Arrays = Sequence[np.ndarray]

_ROUNDINGS = 2
"""Of a file's error against PyTorch's own: two ways of rounding don't end up equally far from the truth."""


def difference(found: Arrays, expected: Arrays) -> float:
    """The largest of an output, relative to its largest magnitude; what isn't finite must be the same."""
    return max((_difference(one, other) for one, other in zip(found, expected, strict=True)), default=0.0)


def _difference(found: np.ndarray, expected: np.ndarray) -> float:
    wide = found.astype(np.float64), expected.astype(np.float64)
    finite = np.isfinite(wide[0]) & np.isfinite(wide[1])
    if not np.array_equal(wide[0][~finite], wide[1][~finite], equal_nan=True):
        return float("inf")
    if not finite.any():
        return 0.0
    found, expected = (array[finite] for array in wide)
    return float(np.abs(found - expected).max() / max(float(np.abs(expected).max()), 1e-30))


def judge(
    what: str, found: Arrays, expected: Arrays, in_float64: Callable[[], Arrays | None], tolerance: float
) -> float:
    """The difference of what was found from what PyTorch found.

    Where it is larger than the tolerance, both are compared with the truth, float64: long sums and recurrences round a
    lot, in PyTorch too. What is found may be twice as far from it as PyTorch is.

    Args:
        what: was found, for the error: "with the library, ONNX Runtime's outputs are".
        in_float64: the answers in float64; None where the network can't be computed so.

    Raises:
        ExportError: it is something else: another number of outputs, or shapes, or types, or values.
    """
    for number, (one, other) in enumerate(zip(found, expected, strict=True)):
        if (one.shape, one.dtype) != (other.shape, other.dtype):
            raise ExportError(
                f"{what} {one.dtype} {one.shape} in place {number}, and PyTorch's is {other.dtype} {other.shape}; "
                "nothing was written"
            )
    from_pytorch = difference(found, expected)
    if from_pytorch <= tolerance:
        return from_pytorch
    message = f"{what} up to {from_pytorch:.3g} of their magnitude away from PyTorch's, more than {tolerance:g}"
    truth = in_float64()
    if truth is not None:
        own, error = difference(expected, truth), difference(found, truth)
        if error <= _ROUNDINGS * own:
            return from_pytorch
        message += f"; from float64 they are {error:.3g} away, and PyTorch's are {own:.3g}"
    raise ExportError(f"{message}; nothing was written")
