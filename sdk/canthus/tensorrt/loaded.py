"""A plan on the GPU: TensorRT's objects, the memory that it works in, and where its tensors lie."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import numpy as np

from canthus.errors import EngineError
from canthus.parts import member, signature
from canthus.tensorrt.library import Library
from canthus.tensorrt.memory import Cuda
from canthus.tensorrt.streams import Stream

_TYPES = {"uint8", "float32"}


class LoadedPlan:
    """The plan of one part, which can be put on a stream once its tensors have been placed.

    Attributes:
        part: see `canthus.parts`.
        name: of its graph, for errors.
        tensors: shape and type of its inputs and outputs, by name.

    Args:
        plan: checked to be one that this user built: to deserialise it is to run its code.
        resources: when they are closed, TensorRT's objects go, in the reverse order of how they came.

    Raises:
        EngineError: it can't be loaded, or it is a plan of something else.
    """

    def __init__(self, library: Library, part: str, plan: memoryview, resources: ExitStack) -> None:
        self.part, self.name = part, member(part)
        self._library = library
        self._runtime: Any = None
        self._engine: Any = None
        self._context: Any = None
        resources.callback(self._drop_engine)
        library.log.clear()
        try:
            self._runtime = library.module.Runtime(library.log)
        except TypeError as error:  # so its bindings say that there is none
            raise EngineError(f"{library} can't run here: {library.log.last()}; see `canthus doctor`") from error
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            raise EngineError(
                f"{self.name}: {library} can't load its plan ({library.log.last()}); run `canthus build` again"
            )
        names = [self._engine.get_tensor_name(i) for i in range(self._engine.num_io_tensors)]
        takes, gives = signature(part)
        if set(names) != {*takes, *gives}:
            raise EngineError(f"{self.name}: its plan is of {sorted(names)}; run `canthus build` again")
        self.tensors = {name: self._shape_and_type(name) for name in names}

    def place(self, cuda: Cuda, addresses: Mapping[str, int], resources: ExitStack) -> None:
        """Say where on the GPU each tensor lies, and give it memory to work in: its own, as others may run beside it.

        Raises:
            EngineError: there is no memory left.
        """
        size = max(self._engine.device_memory_size_v2, 1)
        workspace = int(cuda.call("cudaMalloc", size))
        resources.callback(cuda.release, "cudaFree", workspace)
        resources.callback(self._drop_context)
        self._library.log.clear()
        # A plan that can be captured allocates nothing while it runs: TensorRT-RTX asks for its memory to be given.
        self._context = self._engine.create_execution_context(
            self._library.module.ExecutionContextAllocationStrategy.USER_MANAGED
        )
        if self._context is None:
            raise EngineError(
                f"{self.name}: {self._library} can't run its plan ({self._library.log.last()}); is the GPU's memory "
                "full?"
            )
        self._context.set_device_memory(workspace, size)
        for name, address in addresses.items():
            if not self._context.set_tensor_address(name, address):
                raise EngineError(f"{self.name}: {self._library} refuses {name} ({self._library.log.last()})")

    def is_capturable(self, stream: Stream) -> bool:
        """Only TensorRT-RTX tells beforehand."""
        asked = getattr(self._context, "is_stream_capturable", None)
        return asked is None or asked(int(stream.handle))

    def enqueue(self, stream: Stream) -> None:
        """
        Raises:
            EngineError: TensorRT can't run it.
        """
        self._library.log.clear()
        if not self._context.execute_async_v3(int(stream.handle)):
            raise EngineError(f"{self.name}: {self._library} can't run it ({self._library.log.last()})")

    def _shape_and_type(self, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
        shape = tuple(self._engine.get_tensor_shape(name))
        dtype: np.dtype[Any] = np.dtype(self._library.module.nptype(self._engine.get_tensor_dtype(name)))
        if min(shape, default=0) < 1 or dtype.name not in _TYPES:
            raise EngineError(f"{self.name}: its plan has {name} {dtype} {shape}; run `canthus build` again")
        return shape, dtype

    def _drop_context(self) -> None:
        self._context = None

    def _drop_engine(self) -> None:
        self._engine = None
        self._runtime = None
