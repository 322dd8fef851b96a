"""Streams of the GPU: what is put on one is done in its order, and one can wait for another."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from canthus.tensorrt.memory import Cuda


@dataclass(frozen=True)
class Stream:
    """A stream, and the event by which others wait for it.

    Attributes:
        handle: CUDA's own.
    """

    handle: Any
    _event: Any
    _cuda: Cuda

    @classmethod
    def create(cls, cuda: Cuda, resources: ExitStack) -> Stream:
        """
        Raises:
            EngineError: CUDA has none to give.
        """
        handle = cuda.call("cudaStreamCreateWithFlags", cuda.runtime.cudaStreamNonBlocking)
        resources.callback(cuda.release, "cudaStreamDestroy", handle)
        event = cuda.call("cudaEventCreateWithFlags", cuda.runtime.cudaEventDisableTiming)
        resources.callback(cuda.release, "cudaEventDestroy", event)
        return cls(handle, event, cuda)

    def wait_for(self, other: Stream) -> None:
        """What is put on this stream from now on begins when all that is on the other by now is done."""
        self._cuda.call("cudaEventRecord", other._event, other.handle)
        self._cuda.call("cudaStreamWaitEvent", self.handle, other._event, self._cuda.runtime.cudaEventWaitDefault)

    def synchronise(self) -> None:
        """Wait here until all that is on it is done."""
        self._cuda.call("cudaStreamSynchronize", self.handle)
