"""Plays CUDA's runtime and TensorRT's where there is no GPU, strictly: what would crash or leak on one fails."""

import ctypes
import weakref
from enum import Enum
from types import SimpleNamespace

import numpy as np

Error = Enum("Error", {"cudaSuccess": 0, "cudaErrorMemoryAllocation": 2, "cudaErrorStreamCaptureInvalidated": 901})


class Cuda:
    """`cuda.bindings.runtime`: memory is real, a stream does its work at once, or notes it while it is captured."""

    cudaError_t = Error
    cudaStreamNonBlocking, cudaHostAllocDefault = 1, 0
    cudaMemcpyKind = SimpleNamespace(cudaMemcpyHostToDevice="there", cudaMemcpyDeviceToHost="here")
    cudaStreamCaptureMode = SimpleNamespace(cudaStreamCaptureModeThreadLocal="this thread")

    def __init__(self):
        self.alive = {}  # by address or handle: its kind, and what it is
        self.calls = []
        self.fail_at = None
        self.captured = None
        self.next_handle = 7

    def __getattr__(self, name):
        if not name.startswith("cuda"):
            raise AttributeError(name)
        function = getattr(self, f"_{name}")

        def call(*arguments):
            self.calls.append(name)
            if len(self.calls) - 1 == self.fail_at:
                if name == "cudaStreamEndCapture":  # ends it all the same
                    self.captured = None
                return (Error.cudaErrorMemoryAllocation, None)
            return function(*arguments)

        return call

    def _new(self, kind, thing=None):
        self.next_handle += 1
        self.alive[self.next_handle] = kind, thing
        return Error.cudaSuccess, self.next_handle

    def _end(self, kind, handle):
        assert self.alive.pop(handle)[0] == kind
        return (Error.cudaSuccess,)

    def _allocate(self, kind, size):
        memory = (ctypes.c_ubyte * size)()
        self.alive[ctypes.addressof(memory)] = kind, memory
        return Error.cudaSuccess, ctypes.addressof(memory)

    def _cudaGetDevice(self):
        return Error.cudaSuccess, 3

    def _cudaSetDevice(self, device):
        self.device = device
        return (Error.cudaSuccess,)

    def _cudaGetLastError(self):
        return (Error.cudaSuccess,)

    def _cudaHostAlloc(self, size, flags):
        return self._allocate("host", size)

    def _cudaMalloc(self, size):
        return self._allocate("gpu", size)

    def _cudaFreeHost(self, address):
        return self._end("host", address)

    def _cudaFree(self, address):
        return self._end("gpu", address)

    def _cudaStreamCreateWithFlags(self, flags):
        assert flags == self.cudaStreamNonBlocking
        return self._new("stream")

    def _cudaStreamDestroy(self, stream):
        return self._end("stream", stream)

    def _cudaStreamSynchronize(self, stream):
        assert self.alive[stream][0] == "stream" and self.captured is None
        return (Error.cudaSuccess,)

    def _cudaMemcpyAsync(self, to, source, size, kind, stream):
        kinds = {"there": ("gpu", "host"), "here": ("host", "gpu")}[kind]
        assert kinds == (self.alive[to][0], self.alive[source][0])
        assert size == len(self.alive[to][1]) == len(self.alive[source][1])
        return (self.enqueue(stream, lambda: ctypes.memmove(to, source, size)),)

    def enqueue(self, stream, work):
        assert self.alive[stream][0] == "stream" and self.device == 0
        if self.captured is None:
            work()
        else:
            self.captured.append(work)
        return Error.cudaSuccess

    def _cudaStreamBeginCapture(self, stream, mode):
        self.captured = []
        return (Error.cudaSuccess,)

    def _cudaStreamEndCapture(self, stream):
        captured, self.captured = self.captured, None
        return self._new("graph", captured)

    def _cudaGraphInstantiate(self, graph, flags):
        return self._new("launchable", self.alive[graph][1])

    def _cudaGraphDestroy(self, graph):
        return self._end("graph", graph)

    def _cudaGraphExecDestroy(self, launchable):
        return self._end("launchable", launchable)

    def _cudaGraphLaunch(self, launchable, stream):
        for work in self.alive[launchable][1]:
            self.enqueue(stream, work)
        return (Error.cudaSuccess,)


class Log:
    def clear(self):
        pass

    def last(self):
        return "played"


class TensorRt:
    """A library's module, whose every plan gives for each output the mean of all inputs, plus 1 for the second, …"""

    ExecutionContextAllocationStrategy = SimpleNamespace(USER_MANAGED="user managed")

    def __init__(self, cuda, inputs, shapes, capturable=True):
        self.cuda, self.inputs, self.shapes, self.capturable = cuda, inputs, shapes, capturable
        self.runs = 0
        self.begun, self.ended = [], []

    def nptype(self, dtype):
        return dtype

    def Runtime(self, log):
        return self._watched(SimpleNamespace(deserialize_cuda_engine=self._engine), "runtime")

    def _watched(self, thing, name):
        """Notes when it goes, and what CUDA held then."""
        held = type(name, (SimpleNamespace,), {})(**vars(thing))
        self.begun.append(name)
        weakref.finalize(held, lambda: self.ended.append((name, {kind for kind, _ in self.cuda.alive.values()})))
        return held

    def _engine(self, plan):
        names = list(self.shapes)
        engine = SimpleNamespace(
            device_memory_size_v2=256,
            num_io_tensors=len(names),
            get_tensor_name=names.__getitem__,
            get_tensor_shape=lambda name: self.shapes[name],
            get_tensor_dtype=lambda name: np.uint8 if name in ("frame", "event") else np.float32,
            create_execution_context=self._context,
        )
        return self._watched(engine, "engine")

    def _context(self, strategy):
        assert strategy == "user managed"
        addresses = {}

        def set_device_memory(address, size):
            assert self.cuda.alive[address][0] == "gpu" and len(self.cuda.alive[address][1]) == size == 256
            addresses["workspace"] = address

        def set_tensor_address(name, address):
            addresses[name] = address
            return True

        def compute():
            assert addresses["workspace"] in self.cuda.alive
            values = {}
            for name, shape in self.shapes.items():
                dtype = np.uint8 if name in ("frame", "event") else np.float32
                values[name] = np.frombuffer(self.cuda.alive[addresses[name]][1], dtype).reshape(shape)
            outputs = [name for name in values if name not in self.inputs]
            mean = np.float32(sum(float(values[name].mean()) for name in self.inputs))
            for i, name in enumerate(outputs):
                values[name][...] = mean + i

        def execute_async_v3(stream):
            self.runs += 1
            if self.cuda.captured is not None and (self.runs == 1 or self.capturable == "no, but it doesn't know"):
                return False  # it sets itself up in its first run, which can't be captured
            return self.cuda.enqueue(stream, compute) is Error.cudaSuccess

        context = SimpleNamespace(
            set_device_memory=set_device_memory,
            set_tensor_address=set_tensor_address,
            execute_async_v3=execute_async_v3,
            is_stream_capturable=lambda stream: bool(self.capturable),
        )
        return self._watched(context, "context")
