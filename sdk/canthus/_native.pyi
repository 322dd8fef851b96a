"""The kernels in C++. The GIL is let go while they work, and each object may be used from several threads."""

from collections.abc import Sequence
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

Float32Array = NDArray[np.float32]
# float32, float16, or bfloat16 of ml_dtypes, which is not a type that numpy's stubs know.
FloatArray = NDArray[Any]

@overload
def selective_scan(
    u: FloatArray,
    delta: FloatArray,
    A: Float32Array,
    B: FloatArray,
    C: FloatArray,
    D: Float32Array | None = None,
    z: FloatArray | None = None,
    delta_bias: Float32Array | None = None,
    delta_softplus: bool = False,
    return_last_state: Literal[False] = False,
    threads: int = 1,
    instruction_set: str | None = None,
) -> FloatArray: ...
@overload
def selective_scan(
    u: FloatArray,
    delta: FloatArray,
    A: Float32Array,
    B: FloatArray,
    C: FloatArray,
    D: Float32Array | None = None,
    z: FloatArray | None = None,
    delta_bias: Float32Array | None = None,
    delta_softplus: bool = False,
    *,
    return_last_state: Literal[True],
    threads: int = 1,
    instruction_set: str | None = None,
) -> tuple[FloatArray, Float32Array]: ...
def selective_scan_backward(
    grad_y: Float32Array,
    grad_last_state: Float32Array | None,
    u: Float32Array,
    delta: Float32Array,
    A: Float32Array,
    B: Float32Array,
    C: Float32Array,
    D: Float32Array | None = None,
    z: Float32Array | None = None,
    delta_bias: Float32Array | None = None,
    delta_softplus: bool = False,
    threads: int = 1,
    instruction_set: str | None = None,
) -> tuple[
    Float32Array,
    Float32Array,
    Float32Array,
    Float32Array,
    Float32Array,
    Float32Array | None,
    Float32Array | None,
    Float32Array | None,
]: ...
def ssd(
    x: Float32Array,
    dt: Float32Array,
    A: Float32Array,
    B: Float32Array,
    C: Float32Array,
    initial_state: Float32Array | None = None,
    threads: int = 1,
    instruction_set: str | None = None,
) -> tuple[Float32Array, Float32Array]:
    """y and the last state; shapes as in csrc/ssd/ssd.h."""

def instruction_sets() -> list[str]:
    """Those that this machine has, fastest first: what `instruction_set` may be."""

def multiplies_int8_exactly() -> bool:
    """Whether the processor adds products of bytes in 32 bits: Arm, and x86 with VNNI. Others saturate at 16."""

def release_free_memory() -> None:
    """Give memory that was freed back to the system, where the C library keeps it (glibc)."""

Int8Array = NDArray[np.int8]

# The head's operators, by the arguments that csrc/head/arguments.h names; shapes as in csrc/head/head.h.
def mco_mamba(*arrays: Float32Array, threads: int = 1, instruction_set: str | None = None) -> Float32Array: ...
def mcib(*arrays: Float32Array | Int8Array, threads: int = 1, instruction_set: str | None = None) -> Float32Array: ...
def routed_experts(
    *arrays: Float32Array | Int8Array, threads: int = 1, instruction_set: str | None = None
) -> tuple[Float32Array, Float32Array]: ...

class EventWindow:
    """The newest events of one sensor, and grey images of any short time among them.

    Events `kept_us` older than the newest are let go, and the oldest when there are more than `at_most`.

    A pixel's potential starts at `neutral`; each event adds `contribution` (polarity 1) or takes it away (0)
    and the potential is held within [0, 1] at every event. The image is 255 times that, truncated.
    `ValueError` if the sizes, the contribution or the neutral potential make no sense.
    """

    def __init__(
        self,
        width: int,
        height: int,
        contribution: float = 0.5,
        neutral: float = 0.5,
        kept_us: int = 1_000_000,
        at_most: int = ...,
    ) -> None: ...
    def push(
        self,
        t: NDArray[np.int64],
        x: NDArray[np.uint16] | NDArray[np.uint64],
        y: NDArray[np.uint16] | NDArray[np.uint64],
        p: NDArray[np.uint8],
    ) -> int | None:
        """Take in contiguous arrays of one length (microseconds, pixels, 0 or 1), or nothing of them.

        Returns None, or the index of the first event that goes back in time, lies outside the sensor or has
        a polarity other than 0 and 1: then nothing was taken in. `canthus.Stream.push_events` explains such events.
        """
    def insert(
        self,
        t: NDArray[np.int64],
        x: NDArray[np.uint16] | NDArray[np.uint64],
        y: NDArray[np.uint16] | NDArray[np.uint64],
        p: NDArray[np.uint8],
        earliest: int,
        latest: int,
        useful_from: int,
    ) -> tuple[int, int, int, int, int]:
        """Take in what can be used of contiguous arrays of one length, in any order of time.

        Returns how many were taken in order, taken late, too late (before `useful_from`, or let go already), not
        within earliest to latest, invalid.
        """
    def image(self, end: int, window_us: int, out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
        """The events in (end - window_us, end] as a grey image, uint8 (height, width), into `out` if given.

        `IndexError` if some of them were let go.
        """
    def count(self, end: int, window_us: int) -> int:
        """How many events there are in (end - window_us, end]; `IndexError` as for `image`."""

class Resize:
    """Pillow's antialiased bilinear for 8-bit grey, bit for bit, of a box to a size; tables made once.

    Equals `image.crop(box).resize((width, height), Image.Resampling.BILINEAR)`, rows first, then columns, as
    Pillow does up to version 12 (but for images over a hundred times as tall as wide).
    The box's pixels count as turned before: mirrored left to right, then clockwise by 0 to 3 quarters, as by
    `np.rot90(np.fliplr(pixels), -quarters)`. No pixel is moved for that, and it takes no longer.
    `ValueError` if the box (left, top, right, bottom) is empty or not within the image.
    """

    def __init__(
        self,
        source_width: int,
        source_height: int,
        box: tuple[int, int, int, int],
        width: int,
        height: int,
        mirrored: bool = False,
        quarters: int = 0,
    ) -> None: ...
    def __call__(self, image: NDArray[np.uint8], out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
        """uint8 (source_height, source_width), contiguous, to uint8 (height, width), into `out` if given."""

def cuda_architectures() -> list[str]:
    """What the CUDA kernels were compiled for, as "sm_87"; empty if canthus was built without nvcc.

    GPUs of compute capability 8.0 or later that aren't among them are served by PTX, which the driver compiles.
    """

def cuda_version() -> str:
    """Of the CUDA that they were compiled with, such as "13.0.88"; empty if canthus was built without nvcc."""

class _Cuda:
    """The kernels on an NVIDIA GPU, queued on a stream of the caller's (0: the default one).

    Arrays are any with `__cuda_array_interface__` (CuPy, numba, PyTorch), or `DeviceArray`s: C-contiguous, in the
    memory of the current GPU. Nothing is allocated: results and workspace are the caller's, and may be used by what is
    queued behind. Errors in arguments are those of the functions of the same names for numpy; `RuntimeError` if CUDA
    refuses.
    """

    MOST_STATES: int

    class DeviceArray:
        """An array in a GPU's memory, by its address; `dtype` is numpy's name of it, or "bfloat16"."""

        def __init__(self, address: int, shape: Sequence[int], dtype: str) -> None: ...

    class Resize:
        """As `canthus._native.Resize`; its tables are copied to the GPU when it is made."""

        def __init__(
            self, source_width: int, source_height: int, box: tuple[int, int, int, int], width: int, height: int
        ) -> None: ...
        def __call__(self, image: Any, *, out: Any, stream: int = 0) -> None:
            """uint8 (source_height, source_width) into `out`, uint8 (height, width)."""

    @staticmethod
    def accumulate(
        t: Any,
        x: Any,
        y: Any,
        p: Any,
        *,
        image: Any,
        after: int = ...,
        until: int = ...,
        contribution: float = 0.5,
        neutral: float = 0.5,
        refused: Any = None,
        stream: int = 0,
    ) -> None:
        """The events of (after, until] as a grey image, uint8 (height, width), as `EventWindow.image` makes it.

        Args:
            t, x, y, p: (N,), int64 microseconds, uint16, uint16 and uint8, in the order of time.
            contribution, neutral: what an event adds to or takes from a pixel, and a pixel without events, of 1.
            refused: uint32 (1,); to it the number of events that lie outside the image, or have a polarity other than
                0 and 1, is added. They are left out.
        """

    @staticmethod
    def selective_scan(
        u: Any,
        delta: Any,
        A: Any,
        B: Any,
        C: Any,
        D: Any = None,
        z: Any = None,
        delta_bias: Any = None,
        delta_softplus: bool = False,
        *,
        y: Any,
        last_state: Any = None,
        stream: int = 0,
    ) -> None:
        """As `canthus._native.selective_scan`, into `y` and, where given, `last_state`. A has at most `MOST_STATES`."""

    @staticmethod
    def mco_mamba(*inputs: Any, y: Any, workspace: Any, stream: int = 0) -> None: ...
    @staticmethod
    def mcib(*inputs: Any, fused: Any, workspace: Any, stream: int = 0) -> None: ...
    @staticmethod
    def routed_experts(*inputs: Any, logits: Any, weights: Any, workspace: Any, stream: int = 0) -> None: ...
    @staticmethod
    def mco_mamba_workspace(*inputs: Any) -> int:
        """How many float32 numbers `workspace` must have for such inputs; likewise the next two."""

    @staticmethod
    def mcib_workspace(*inputs: Any) -> int: ...
    @staticmethod
    def routed_experts_workspace(*inputs: Any) -> int: ...

cuda: _Cuda
"""Only where `cuda_architectures()` isn't empty."""
