"""The work of one moment on the GPU, ready to take one moment after another."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from canthus.errors import EngineError
from canthus.parts import HEAD, signature
from canthus.runtimes import Floats
from canthus.tensorrt.graph import capture
from canthus.tensorrt.library import Library
from canthus.tensorrt.loaded import LoadedPlan
from canthus.tensorrt.memory import Buffer, Cuda
from canthus.tensorrt.streams import Stream

_IMAGES = ("frame", "event")


class Moment:
    """Two encoders, each on a stream of its own so that they run at once; then the head, if there is one.

    The head reads the encoders' features where they lie on the GPU. Streams and buffers are the moment's own, allocated
    once; it is safe to call from several threads. What it takes (copies to the GPU, the parts, copies back) is captured
    into one CUDA graph and replayed; where that can't be, it is launched piece by piece, which computes the same.

    Attributes:
        captured: it is replayed.

    Args:
        encoders: plans by part, of the frame's encoder and of the event image's, checked to be ones that this user
            built: to deserialise a plan is to run its code.
        head: its plan, likewise; None for a first moment.

    Raises:
        EngineError: a plan can't be loaded, or is one of something else.
    """

    def __init__(self, library: Library, encoders: Mapping[str, memoryview], head: memoryview | None = None) -> None:
        self._cuda = Cuda()
        self._lock = threading.Lock()
        self._graph: Any = None
        # Closed in the reverse order of what follows, when this is collected or the process ends; so nothing in it
        # may refer to `self`, and `self` to no object of TensorRT's but through a `LoadedPlan`, which drops its own.
        resources = ExitStack()
        self._release = weakref.finalize(self, resources.close)
        try:
            with self._cuda.on_the_gpu():
                self._load(library, encoders, head, resources)
                self._launch()  # TensorRT sets itself up in the first run, which can't be captured
                if self._is_capturable():
                    self._graph = capture(self._cuda, self._stream, self._enqueue, resources)
                self._launch()
        except BaseException:
            self._release()
            raise

    @property
    def captured(self) -> bool:
        return self._graph is not None

    def run(self, given: Sequence[Any]) -> list[Floats]:
        """The outputs for one moment, (1, ...) each: the head's, in its signature's order, then the encoders' features.

        Args:
            given: frame, event image and, for the head, the features that the encoders here don't make, in its
                signature's order; (1, ...) each, of the graphs' types.

        Raises:
            EngineError: an input of another shape or type, or the GPU fails.
        """
        for (name, buffer), value in zip(self._takes, given, strict=True):
            if value.shape != buffer.host.shape or value.dtype != buffer.host.dtype:
                raise EngineError(f"{name} is {value.dtype} {value.shape}, not {buffer.host.dtype} {buffer.host.shape}")
        with self._lock, self._cuda.on_the_gpu():
            for stream in self._streams():  # a call that failed or was interrupted may have left work on any
                stream.synchronise()
            for (_, buffer), value in zip(self._takes, given, strict=True):
                buffer.host[...] = value
            self._launch()
            return [buffer.host.copy() for buffer in self._gives]

    def _load(
        self, library: Library, encoders: Mapping[str, memoryview], head: memoryview | None, resources: ExitStack
    ) -> None:
        cuda = self._cuda
        self._stream = Stream.create(cuda, resources)
        self._encoders = [
            (LoadedPlan(library, part, plan, resources), Stream.create(cuda, resources))
            for part, plan in encoders.items()
        ]
        self._head = None if head is None else LoadedPlan(library, HEAD, head, resources)
        buffers: dict[str, Buffer] = {}
        self._takes: list[tuple[str, Buffer]] = []
        for image, (encoder, _) in zip(_IMAGES, self._encoders, strict=True):
            self._place(encoder, {"image": image, "features": encoder.part}, buffers, resources)
            self._takes.append((f"{encoder.name}: image", buffers[image]))
        self._gives = [buffers[part] for part in encoders]
        if self._head is not None:
            takes, gives = signature(HEAD)
            self._place(self._head, {name: name for name in (*takes, *gives)}, buffers, resources)
            self._takes += [(f"{self._head.name}: {name}", buffers[name]) for name in takes if name not in encoders]
            self._gives = [*(buffers[name] for name in gives), *self._gives]
        for stream in self._streams():  # nothing goes while it is used
            resources.callback(cuda.release, "cudaStreamSynchronize", stream.handle)

    def _place(
        self, plan: LoadedPlan, names: Mapping[str, str], buffers: dict[str, Buffer], resources: ExitStack
    ) -> None:
        """Place a plan's tensors in the buffers of these names, which are allocated unless an earlier plan has them."""
        for tensor, name in names.items():
            shape, dtype = plan.tensors[tensor]
            if name not in buffers:
                buffers[name] = Buffer.allocate(self._cuda, shape, dtype, resources)
                buffers[name].host[...] = 0
            shared = buffers[name].host
            if (shape, dtype) != (shared.shape, shared.dtype):
                raise EngineError(
                    f"{plan.name}: its plan has {tensor} {dtype} {shape}, and the encoder's gives {shared.dtype} "
                    f"{shared.shape}; export the bundle again"
                )
        addresses = {tensor: buffers[name].device_address for tensor, name in names.items()}
        plan.place(self._cuda, addresses, resources)

    def _streams(self) -> list[Stream]:
        return [self._stream, *(own for _, own in self._encoders)]

    def _is_capturable(self) -> bool:
        of_encoders = all(encoder.is_capturable(own) for encoder, own in self._encoders)
        return of_encoders and (self._head is None or self._head.is_capturable(self._stream))

    def _launch(self) -> None:
        """Once through the parts, from the inputs' host arrays to the outputs'."""
        if self._graph is None:
            self._enqueue()
        else:
            self._cuda.call("cudaGraphLaunch", self._graph, self._stream.handle)
        self._stream.synchronise()

    def _enqueue(self) -> None:
        for _, buffer in self._takes:
            buffer.send(self._cuda, self._stream.handle)
        for encoder, own in self._encoders:
            own.wait_for(self._stream)
            encoder.enqueue(own)
        for _, own in self._encoders:
            self._stream.wait_for(own)
        if self._head is not None:
            self._head.enqueue(self._stream)
        for buffer in self._gives:
            buffer.fetch(self._cuda, self._stream.handle)
