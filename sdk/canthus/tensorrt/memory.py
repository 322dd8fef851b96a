"""CUDA as far as a plan needs it: calls that are checked, and buffers that exist twice, here and on the GPU."""

from __future__ import annotations

import ctypes
import importlib
import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from canthus.errors import EngineError
from canthus.imports import importing

_GPU = 0  # the one that `canthus.device.gpu.find_gpu` tells of


class Cuda:
    """CUDA's runtime, each of whose functions returns an error and perhaps a value.

    Raises:
        EngineError: cuda-bindings is not installed.
    """

    def __init__(self) -> None:
        with importing("cuda", "pip install 'cuda-bindings>=12.6'", EngineError):
            self.runtime: Any = importlib.import_module("cuda.bindings.runtime")

    def call(self, function: str, *arguments: object) -> Any:
        """The value, if there is one.

        Raises:
            EngineError: it returns an error.
        """
        error, *values = getattr(self.runtime, function)(*arguments)
        if error != self.runtime.cudaError_t.cudaSuccess:
            raise EngineError(f"CUDA: {function} says {error.name}; see `canthus doctor`")
        return values[0] if values else None

    def release(self, function: str, *arguments: object) -> None:
        """As `call`, where nothing is left to be done about an error."""
        getattr(self.runtime, function)(*arguments)

    @contextmanager
    def on_the_gpu(self) -> Iterator[None]:
        """In this thread; an app's thread that uses another GPU goes on with that one."""
        before = self.call("cudaGetDevice")
        self.call("cudaSetDevice", _GPU)
        try:
            yield
        finally:
            self.call("cudaSetDevice", before)


@dataclass(frozen=True)
class Buffer:
    """A fixed array in host memory that the GPU can copy from and to at any time, and its counterpart on the GPU.

    Attributes:
        host: the array. It must not be used after its resources are closed.
        host_address, device_address: where they are.
    """

    host: NDArray[Any]
    host_address: int
    device_address: int

    @classmethod
    def allocate(cls, cuda: Cuda, shape: Sequence[int], dtype: DTypeLike, resources: ExitStack) -> Buffer:
        """
        Raises:
            EngineError: there is no memory left.
        """
        dtype = np.dtype(dtype)
        size = math.prod(shape) * dtype.itemsize
        here = int(cuda.call("cudaHostAlloc", size, cuda.runtime.cudaHostAllocDefault))
        resources.callback(cuda.release, "cudaFreeHost", here)
        there = int(cuda.call("cudaMalloc", size))
        resources.callback(cuda.release, "cudaFree", there)
        bytes_here = np.ctypeslib.as_array((ctypes.c_ubyte * size).from_address(here))
        return cls(bytes_here.view(dtype).reshape(shape), here, there)

    def send(self, cuda: Cuda, stream: Any) -> None:
        """To the GPU, in the order of the stream."""
        to_gpu = cuda.runtime.cudaMemcpyKind.cudaMemcpyHostToDevice
        cuda.call("cudaMemcpyAsync", self.device_address, self.host_address, self.host.nbytes, to_gpu, stream)

    def fetch(self, cuda: Cuda, stream: Any) -> None:
        """From the GPU, in the order of the stream."""
        to_host = cuda.runtime.cudaMemcpyKind.cudaMemcpyDeviceToHost
        cuda.call("cudaMemcpyAsync", self.host_address, self.device_address, self.host.nbytes, to_host, stream)
