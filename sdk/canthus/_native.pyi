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
def selective_scan_instruction_sets() -> list[str]: ...

class EventWindow:
    def __init__(self, width: int, height: int, contribution: float = 0.5, neutral: float = 0.5) -> None: ...
    def push(
        self,
        t: NDArray[np.int64],
        x: NDArray[np.uint16] | NDArray[np.uint64],
        y: NDArray[np.uint16] | NDArray[np.uint64],
        p: NDArray[np.uint8],
    ) -> int | None: ...
    def image(self, end: int, window_us: int, out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]: ...
    def count(self, end: int, window_us: int) -> int: ...

class Resize:
    def __init__(
        self, source_width: int, source_height: int, box: tuple[int, int, int, int], width: int, height: int
    ) -> None: ...
    def __call__(self, image: NDArray[np.uint8], out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]: ...
