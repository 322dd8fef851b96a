"""Plays CUDA's runtime where there is no GPU, strictly: what would crash, race or leak on one fails."""

import ctypes
import threading
from enum import Enum
from types import SimpleNamespace

from played_order import Order

Error = Enum(
    "Error",
    {
        "cudaSuccess": 0,
        "cudaErrorMemoryAllocation": 2,
        "cudaErrorStreamCaptureInvalidated": 901,
        "cudaErrorStreamCaptureMerge": 902,
        "cudaErrorStreamCaptureUnjoined": 904,
        "cudaErrorStreamCaptureIsolation": 905,
        "cudaErrorCapturedEvent": 907,
    },
)


class Live:
    """Takes steps as they come, and does them on the streams that they are on."""

    def __init__(self, order):
        self.order, self.points = order, {}

    def work(self, stream, name, reads, writes, begin):
        self.order.work(stream, name, reads, writes, begin())

    def record(self, stream, event):
        self.points[event] = self.order.point(stream)

    def wait(self, stream, event):
        self.order.wait(stream, self.points[event])


class Captured(Live):
    """Notes steps, to take them again at each launch, on streams of the launch's own but for the first."""

    def __init__(self, origin):
        super().__init__(Order())
        self.origin, self.streams, self.steps, self.invalid = origin, {origin}, [], False

    def work(self, stream, name, reads, writes, begin):
        self.steps.append(("work", stream, name, reads, writes, begin))
        self.order.work(stream, name, (), (), None)

    def record(self, stream, event):
        self.steps.append(("record", stream, event))
        super().record(stream, event)

    def wait(self, stream, event):
        self.steps.append(("wait", stream, event))
        super().wait(stream, event)
        if stream not in self.streams:
            self.streams.add(stream)
            self.order.work(stream, "fork", (), (), None)  # to be joined even if no other work follows

    def is_joined(self):
        return all(self.order.point(stream) <= self.order.point(self.origin) for stream in self.streams)

    def launch(self, order, stream):
        streams = {other: object() for other in self.streams} | {self.origin: stream}
        live = Live(order)
        for step, on, *arguments in self.steps:
            getattr(live, step)(streams[on], *arguments)


class Cuda:
    """`cuda.bindings.runtime`: memory is real, work is done when it is waited for.

    Attributes:
        calls: the functions that were called.
        watch: is called with a function's name before each call.
        fail_at: the number of the call that fails.
    """

    cudaError_t = Error
    cudaStreamNonBlocking, cudaHostAllocDefault, cudaEventDisableTiming, cudaEventWaitDefault = 1, 0, 2, 0
    cudaMemcpyKind = SimpleNamespace(cudaMemcpyHostToDevice="there", cudaMemcpyDeviceToHost="here")
    cudaStreamCaptureMode = SimpleNamespace(cudaStreamCaptureModeThreadLocal="this thread")

    def __init__(self):
        self.alive = {}  # by address or handle: its kind, and what it is
        self.calls = []
        self.fail_at = None
        self.watch = lambda name: None
        self.order = Order()
        self._live = Live(self.order)
        self._captures = {}  # under way, by stream
        self._captured_events = {}  # the capture that an event was last recorded in
        self._next_handle = 7
        self._own = threading.local()
        self._lock = threading.RLock()

    def __getattr__(self, name):
        if not name.startswith("cuda"):
            raise AttributeError(name)
        function = getattr(self, f"_{name}")

        def call(*arguments):
            self.watch(name)
            with self._lock:
                self.calls.append(name)
                if len(self.calls) - 1 == self.fail_at:
                    if name == "cudaStreamEndCapture":  # ends it all the same
                        self._leave(*arguments)
                    return (Error.cudaErrorMemoryAllocation, None)
                return function(*arguments)

        return call

    @property
    def device(self):
        """Of this thread."""
        return getattr(self._own, "device", 3)

    def kinds(self):
        """Of what is alive."""
        return {kind for kind, _ in self.alive.values()}

    def is_capturing(self, stream):
        return stream in self._captures

    def put(self, stream, name, reads, writes, begin):
        """Work on a stream: `begin` is called as it is put there, and what it returns is called to do the work."""
        return self._step(stream, "work", name, reads, writes, begin)

    def _step(self, stream, step, *arguments):
        assert self.alive[stream][0] == "stream" and self.device == 0
        capture = self._captures.get(stream)
        if capture is not None and capture.invalid:
            return Error.cudaErrorStreamCaptureInvalidated
        getattr(capture or self._live, step)(stream, *arguments)
        return Error.cudaSuccess

    def _new(self, kind, thing=None):
        assert self.device == 0
        self._next_handle += 1
        self.alive[self._next_handle] = kind, thing
        return Error.cudaSuccess, self._next_handle

    def _end(self, kind, handle):
        assert self.alive.pop(handle)[0] == kind
        return (Error.cudaSuccess,)

    def _allocate(self, kind, size):
        assert self.device == 0 and not self._captures
        memory = (ctypes.c_ubyte * size)()
        self.alive[ctypes.addressof(memory)] = kind, memory
        return Error.cudaSuccess, ctypes.addressof(memory)

    def _free(self, kind, address):
        self.order.free(address)
        return self._end(kind, address)

    def _cudaGetDevice(self):
        return Error.cudaSuccess, self.device

    def _cudaSetDevice(self, device):
        self._own.device = device
        return (Error.cudaSuccess,)

    def _cudaGetLastError(self):
        return (Error.cudaSuccess,)

    def _cudaHostAlloc(self, size, flags):
        return self._allocate("host", size)

    def _cudaMalloc(self, size):
        return self._allocate("gpu", size)

    def _cudaFreeHost(self, address):
        return self._free("host", address)

    def _cudaFree(self, address):
        return self._free("gpu", address)

    def _cudaStreamCreateWithFlags(self, flags):
        assert flags == self.cudaStreamNonBlocking
        return self._new("stream")

    def _cudaStreamDestroy(self, stream):
        assert stream not in self._captures
        return self._end("stream", stream)

    def _cudaStreamSynchronize(self, stream):
        assert self.alive[stream][0] == "stream" and stream not in self._captures
        self.order.synchronise(stream)
        return (Error.cudaSuccess,)

    def _cudaMemcpyAsync(self, to, source, size, kind, stream):
        kinds = {"there": ("gpu", "host"), "here": ("host", "gpu")}[kind]
        assert kinds == (self.alive[to][0], self.alive[source][0])
        assert size == len(self.alive[to][1]) == len(self.alive[source][1])

        def begin():  # what the host has written is no work: that it is left as it is, is looked at instead
            before = bytes(self.alive[source][1]) if kind == "there" else None

            def copy():
                assert before in (None, bytes(self.alive[source][1])), "changed while it may be copied"
                ctypes.memmove(to, source, size)

            return copy

        reads = [source] if kind == "here" else []
        return (self.put(stream, f"copy {kind}", reads, [to], begin),)

    def _cudaEventCreateWithFlags(self, flags):
        assert flags == self.cudaEventDisableTiming
        return self._new("event")

    def _cudaEventDestroy(self, event):
        return self._end("event", event)

    def _cudaEventRecord(self, event, stream):
        assert self.alive[event][0] == "event"
        self._captured_events[event] = self._captures.get(stream)
        return (self._step(stream, "record", event),)

    def _cudaStreamWaitEvent(self, stream, event, flags):
        """An event that is recorded in a capture draws whoever waits for it in; it may be waited for nowhere else."""
        assert self.alive[event][0] == "event" and flags == self.cudaEventWaitDefault
        capture, of_event = self._captures.get(stream), self._captured_events[event]
        if of_event is not capture:
            if capture is not None:
                capture.invalid = True
                isolated = of_event is None
                return (Error.cudaErrorStreamCaptureIsolation if isolated else Error.cudaErrorStreamCaptureMerge,)
            if of_event not in self._captures.values():
                return (Error.cudaErrorCapturedEvent,)
            self._captures[stream] = of_event
        return (self._step(stream, "wait", event),)

    def _cudaStreamBeginCapture(self, stream, mode):
        assert stream not in self._captures and mode == "this thread"
        self._captures[stream] = Captured(stream)
        return (Error.cudaSuccess,)

    def _cudaStreamEndCapture(self, stream):
        capture = self._leave(stream)
        if capture.invalid:
            return Error.cudaErrorStreamCaptureInvalidated, None
        if not capture.is_joined():
            return Error.cudaErrorStreamCaptureUnjoined, None
        return self._new("graph", capture)

    def _leave(self, stream):
        """With all streams that are in the capture that began on this one."""
        capture = self._captures[stream]
        assert capture.origin == stream
        self._captures = {other: under_way for other, under_way in self._captures.items() if under_way is not capture}
        return capture

    def _cudaGraphInstantiate(self, graph, flags):
        return self._new("launchable", self.alive[graph][1])

    def _cudaGraphDestroy(self, graph):
        return self._end("graph", graph)

    def _cudaGraphExecDestroy(self, launchable):
        assert not self.order.undone
        return self._end("launchable", launchable)

    def _cudaGraphLaunch(self, launchable, stream):
        assert self.device == 0 and stream not in self._captures
        self.alive[launchable][1].launch(self.order, stream)
        return (Error.cudaSuccess,)
