"""A CUDA graph: what would be put on streams piece by piece, launched by one call."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any

from canthus.errors import EngineError
from canthus.tensorrt.memory import Cuda
from canthus.tensorrt.streams import Stream


def capture(cuda: Cuda, stream: Stream, enqueue: Callable[[], None], resources: ExitStack) -> Any:
    """What `enqueue` puts on a stream, and on others that wait for it and that it waits for again.

    Returns:
        A graph for `cudaGraphLaunch`; None if it can't be captured.
    """
    this_thread = cuda.runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
    try:
        cuda.call("cudaStreamBeginCapture", stream.handle, this_thread)
        try:
            enqueue()
        except BaseException:
            with suppress(EngineError):  # it lacks the rest of the work; what was raised is to be told
                _end(cuda, stream, resources)
            raise
        launchable = cuda.call("cudaGraphInstantiate", _end(cuda, stream, resources), 0)
        resources.callback(cuda.release, "cudaGraphExecDestroy", launchable)
        resources.callback(cuda.release, "cudaStreamSynchronize", stream.handle)  # it may run still
        return launchable
    except EngineError:
        cuda.release("cudaGetLastError")  # which a later call would else return
        return None


def _end(cuda: Cuda, stream: Stream, resources: ExitStack) -> Any:
    graph = cuda.call("cudaStreamEndCapture", stream.handle)
    resources.callback(cuda.release, "cudaGraphDestroy", graph)
    return graph
