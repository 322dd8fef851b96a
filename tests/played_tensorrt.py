"""Plays TensorRT's runtime on a played GPU. A plan is its part's name, and each part computes something else."""

import weakref
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np

from canthus.parts import ENCODERS, HEAD, PARTS, signature
from canthus.tensorrt.library import Library

IMAGE, FEATURES = (1, 4, 6), (1, 5)
SHAPES = {
    **{part: {"image": IMAGE, "features": FEATURES} for part in ENCODERS},
    HEAD: {**dict.fromkeys(ENCODERS, FEATURES), "logits": (1, 7), "probabilities": (1, 7), "experts": (1, 8)},
}
WORKSPACE = 256


def encoded(part, image):
    """What an encoder gives."""
    mean = image.mean(dtype=np.float64) * (1 + PARTS.index(part))
    return (mean + np.arange(5)).astype(np.float32).reshape(FEATURES)


def answered(features):
    """What the head gives for features in the order of ENCODERS."""
    total = sum((i + 1) * value.mean(dtype=np.float64) for i, value in enumerate(features))
    return [np.full(SHAPES[HEAD][name], total + i, np.float32) for i, name in enumerate(signature(HEAD)[1])]


def library(module):
    """The module as canthus opens it."""
    return Library("tensorrt", "10.3", module, SimpleNamespace(clear=lambda: None, last=lambda: "played"), ())


class Ended(NamedTuple):
    """What there was when an object of TensorRT's ended.

    Attributes:
        kinds: of what CUDA held.
        undone: how much work was on the GPU.
        lost: of its own memory, what was gone already.
    """

    name: str
    kinds: set[str]
    undone: int
    lost: list[str]


class TensorRt:
    """A library's module.

    Attributes:
        capturable: whether its plans say that they can be captured; "no, but it doesn't know" if they say so and can't.
        fail: the part that can't run.
        runs: the parts that were put on a stream, in order.
        begun, ended: its objects; of each that ended what there was then: see `Ended`.
    """

    ExecutionContextAllocationStrategy = SimpleNamespace(USER_MANAGED="user managed")

    def __init__(self, cuda, shapes=SHAPES, capturable=True):
        self.cuda, self.shapes, self.capturable = cuda, shapes, capturable
        self.fail = None
        self.runs, self.begun, self.ended = [], [], []

    def nptype(self, dtype):
        return dtype

    def Runtime(self, log):
        return self._watched(SimpleNamespace(deserialize_cuda_engine=self._engine), "runtime", {})

    def _watched(self, thing, name, addresses):
        def end():
            lost = [what for what, address in addresses.items() if address not in self.cuda.alive]
            self.ended.append(Ended(name, self.cuda.kinds(), len(self.cuda.order.undone), lost))

        held = type(name, (SimpleNamespace,), {})(**vars(thing))
        self.begun.append(name)
        weakref.finalize(held, end)
        return held

    def _engine(self, plan):
        part = bytes(plan).decode()
        names = list(self.shapes[part])
        engine = SimpleNamespace(
            device_memory_size_v2=WORKSPACE,
            num_io_tensors=len(names),
            get_tensor_name=names.__getitem__,
            get_tensor_shape=self.shapes[part].__getitem__,
            get_tensor_dtype=lambda name: np.uint8 if name == "image" else np.float32,
            create_execution_context=lambda strategy: self._context(part, strategy),
        )
        return self._watched(engine, "engine", {})

    def _context(self, part, strategy):
        assert strategy == "user managed"
        takes, gives = signature(part)
        addresses, runs = {}, []

        def set_device_memory(address, size):
            assert self.cuda.alive[address][0] == "gpu" and len(self.cuda.alive[address][1]) == size == WORKSPACE
            addresses["workspace"] = address

        def set_tensor_address(name, address):
            assert self.cuda.alive[address][0] == "gpu"
            addresses[name] = address
            return True

        def tensor(name):
            memory = self.cuda.alive[addresses[name]][1]
            return np.frombuffer(memory, np.uint8 if name == "image" else np.float32).reshape(self.shapes[part][name])

        def compute():
            assert addresses["workspace"] in self.cuda.alive
            given = [tensor(name) for name in takes]
            made = answered(given) if part == HEAD else [encoded(part, *given)]
            for name, value in zip(gives, made, strict=True):
                tensor(name)[...] = value

        def execute_async_v3(stream):
            first = not runs
            runs.append(part)
            self.runs.append(part)
            never = self.capturable == "no, but it doesn't know"
            if part == self.fail or (self.cuda.is_capturing(stream) and (first or never)):
                return False  # it sets itself up in its first run, which can't be captured
            reads = [addresses[name] for name in takes]
            writes = [addresses[name] for name in (*gives, "workspace")]
            return self.cuda.put(stream, part, reads, writes, lambda: compute).name == "cudaSuccess"

        context = SimpleNamespace(
            set_device_memory=set_device_memory,
            set_tensor_address=set_tensor_address,
            execute_async_v3=execute_async_v3,
            is_stream_capturable=lambda stream: bool(self.capturable),
        )
        return self._watched(context, "context", addresses)
