"""A plan on the GPU, ready to take one moment after another."""

from __future__ import annotations

import threading
import weakref
from contextlib import ExitStack
from typing import Any

import numpy as np

from canthus.errors import EngineError
from canthus.runtimes import Floats
from canthus.runtimes.one_by_one import Inputs
from canthus.tensorrt.build import Signature
from canthus.tensorrt.library import Library
from canthus.tensorrt.memory import Buffer, Cuda

_TYPES = {"uint8", "float32"}


class LoadedPlan:
    """A plan with a stream and buffers of its own, allocated once; safe to call from several threads.

    What a moment takes (copies to the GPU, the network, copies back) is captured into one CUDA graph and replayed; a
    plan that can't be captured is launched piece by piece, which computes the same.

    Attributes:
        captured: it is replayed.

    Args:
        name: what errors call it.
        plan: checked to be one that this user built: to deserialise it is to run its code.

    Raises:
        EngineError: it can't be loaded, or it isn't of this signature.
    """

    def __init__(self, library: Library, name: str, plan: memoryview, signature: Signature) -> None:
        self._library, self._name = library, name
        self._cuda = Cuda()
        self._lock = threading.Lock()
        self._objects = _Objects()
        self._graph: Any = None
        # Closed in the reverse order of what follows, when this is collected or the process ends; so nothing in it
        # may refer to `self`, and `self` to no object of TensorRT's but through `_objects`.
        resources = ExitStack()
        self._release = weakref.finalize(self, resources.close)
        try:
            with self._cuda.on_the_gpu():
                self._load(plan, signature, resources)
                self._launch()  # TensorRT sets itself up in the first run, which can't be captured
                self._capture(resources)
                self._launch()
        except BaseException:
            self._release()
            raise

    @property
    def captured(self) -> bool:
        return self._graph is not None

    def run(self, inputs: Inputs) -> list[Floats]:
        """The outputs for one moment, (1, ...) each, in the signature's order.

        Args:
            inputs: (1, ...) each, of the graph's types.

        Raises:
            EngineError: an input of another shape or type, or the GPU fails.
        """
        for name, buffer in self._inputs.items():
            value = inputs[name]
            if value.shape != buffer.host.shape or value.dtype != buffer.host.dtype:
                raise EngineError(
                    f"{self._name}: {name} is {value.dtype} {value.shape}, not {buffer.host.dtype} {buffer.host.shape}"
                )
        with self._lock, self._cuda.on_the_gpu():
            self._synchronise()  # a call that was interrupted may not have waited for its copies
            for name, buffer in self._inputs.items():
                buffer.host[...] = inputs[name]
            self._launch()
            return [buffer.host.copy() for buffer in self._outputs]

    def _load(self, plan: memoryview, signature: Signature, resources: ExitStack) -> None:
        cuda, objects = self._cuda, self._objects
        self._stream = cuda.call("cudaStreamCreateWithFlags", cuda.runtime.cudaStreamNonBlocking)
        resources.callback(cuda.release, "cudaStreamDestroy", self._stream)
        resources.callback(objects.drop)
        objects.create(self._library, self._name, plan)
        size = max(objects.engine.device_memory_size_v2, 1)
        workspace = int(cuda.call("cudaMalloc", size))
        resources.callback(cuda.release, "cudaFree", workspace)
        objects.context.set_device_memory(workspace, size)
        buffers = {name: self._allocate(name, resources) for name in objects.names()}
        takes, gives = signature
        if set(buffers) != {*takes, *gives}:
            raise EngineError(f"{self._name}: its plan is of {sorted(buffers)}; run `canthus build` again")
        self._inputs = {name: buffers[name] for name in takes}
        self._outputs = [buffers[name] for name in gives]
        resources.callback(objects.drop)  # before the memory that they use; dropping again does nothing
        resources.callback(cuda.release, "cudaStreamSynchronize", self._stream)

    def _allocate(self, name: str, resources: ExitStack) -> Buffer:
        shape, dtype = self._objects.shape_and_type(self._library, name)
        if min(shape, default=0) < 1 or dtype.name not in _TYPES:
            raise EngineError(f"{self._name}: its plan has {name} {dtype} {shape}; run `canthus build` again")
        buffer = Buffer.allocate(self._cuda, shape, dtype, resources)
        buffer.host[...] = 0
        if not self._objects.context.set_tensor_address(name, buffer.device_address):
            raise EngineError(f"{self._name}: {self._library} refuses {name} ({self._library.log.last()})")
        return buffer

    def _capture(self, resources: ExitStack) -> None:
        """Keep what `_enqueue` does as a graph; if that can't be, `_launch` goes on without one."""
        cuda, this_thread = self._cuda, self._cuda.runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        if not self._objects.is_capturable(self._stream):
            return
        try:
            cuda.call("cudaStreamBeginCapture", self._stream, this_thread)
            try:
                self._enqueue()
            finally:
                graph = cuda.call("cudaStreamEndCapture", self._stream)
                resources.callback(cuda.release, "cudaGraphDestroy", graph)
            launchable = cuda.call("cudaGraphInstantiate", graph, 0)
            resources.callback(cuda.release, "cudaGraphExecDestroy", launchable)
            self._graph = launchable
        except EngineError:
            cuda.release("cudaGetLastError")  # which a later call would else return

    def _launch(self) -> None:
        """Once through the network, from the inputs' host arrays to the outputs'."""
        if self._graph is None:
            self._enqueue()
        else:
            self._cuda.call("cudaGraphLaunch", self._graph, self._stream)
        self._synchronise()

    def _enqueue(self) -> None:
        for buffer in self._inputs.values():
            buffer.send(self._cuda, self._stream)
        self._library.log.clear()
        if not self._objects.context.execute_async_v3(int(self._stream)):
            raise EngineError(f"{self._name}: {self._library} can't run it ({self._library.log.last()})")
        for buffer in self._outputs:
            buffer.fetch(self._cuda, self._stream)

    def _synchronise(self) -> None:
        self._cuda.call("cudaStreamSynchronize", self._stream)


class _Objects:
    """TensorRT's own, which must go in the reverse order of how they came."""

    runtime: Any = None
    engine: Any = None
    context: Any = None

    def create(self, library: Library, name: str, plan: memoryview) -> None:
        library.log.clear()
        try:
            self.runtime = library.module.Runtime(library.log)
        except TypeError as error:  # so its bindings say that there is none
            raise EngineError(f"{library} can't run here: {library.log.last()}; see `canthus doctor`") from error
        self.engine = self.runtime.deserialize_cuda_engine(plan)
        if self.engine is None:
            raise EngineError(
                f"{name}: {library} can't load its plan ({library.log.last()}); run `canthus build` again"
            )
        # A plan that can be captured allocates nothing while it runs: TensorRT-RTX asks for its memory to be given.
        self.context = self.engine.create_execution_context(
            library.module.ExecutionContextAllocationStrategy.USER_MANAGED
        )
        if self.context is None:
            raise EngineError(f"{name}: {library} can't run its plan ({library.log.last()}); is the GPU's memory full?")

    def names(self) -> list[str]:
        return [self.engine.get_tensor_name(i) for i in range(self.engine.num_io_tensors)]

    def shape_and_type(self, library: Library, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
        dtype = np.dtype(library.module.nptype(self.engine.get_tensor_dtype(name)))
        return tuple(self.engine.get_tensor_shape(name)), dtype

    def is_capturable(self, stream: Any) -> bool:
        """Only TensorRT-RTX tells beforehand."""
        return not hasattr(self.context, "is_stream_capturable") or self.context.is_stream_capturable(int(stream))

    def drop(self) -> None:
        self.context = None
        self.engine = None
        self.runtime = None
