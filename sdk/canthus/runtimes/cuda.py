"""ONNX Runtime's CUDA provider, with canthus's kernels on its stream, fixed buffers and a CUDA graph for each part."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from canthus.errors import EngineError
from canthus.parts import HEAD, Signature, member, signature
from canthus.runtimes import Encoder, Floats, Head, Images
from canthus.runtimes.one_by_one import one_by_one
from canthus.runtimes.onnxruntime import first_line, session_options

PROVIDER = "CUDAExecutionProvider"
_OPTIONS = {
    "use_tf32": "0",  # what is float32 in the graphs stays so
    "arena_extend_strategy": "kSameAsRequested",  # a Jetson's processor needs memory, too
}


class Cuda:
    """A session for each part on the first GPU, with a stream and a CUDA graph of its own.

    So two encoders that are run at once, by two threads, share the GPU. ONNX Runtime captures a graph within a session:
    it can't hold both encoders and the head in one.

    Args:
        operators: canthus's operator library.
    """

    name = "cuda"

    def __init__(self, operators: Path) -> None:
        self._operators = operators

    def open_encoder(self, part: str, graph: bytes, threads: int) -> Encoder:
        return _open(part, graph, self._operators)

    def open_head(self, graph: bytes, threads: int) -> Head:
        return _open(HEAD, graph, self._operators)


class BoundPart:
    """A session whose inputs and outputs stay in the same memory of a device from run to run, as a CUDA graph needs.

    An image at a time; several threads may ask, and one is answered at a time.

    Args:
        session: whose batches are of one image.
        device: "cuda" or "cpu".
        names: of its inputs and outputs.
    """

    def __init__(self, session: Any, device: str, names: Signature) -> None:
        from onnxruntime import OrtValue

        types = {"tensor(uint8)": np.uint8, "tensor(float)": np.float32}
        given = {one.name: one for one in session.get_inputs()}
        made = {one.name: _of_one(one.shape) for one in session.get_outputs()}
        self._lock = threading.Lock()
        self._session, self._binding = session, session.io_binding()
        self._inputs = [
            OrtValue.ortvalue_from_numpy(np.zeros(_of_one(given[name].shape), types[given[name].type]), device, 0)
            for name in names[0]
        ]
        self._outputs = [OrtValue.ortvalue_from_shape_and_type(made[name], np.float32, device, 0) for name in names[1]]
        for name, value in zip(names[0], self._inputs, strict=True):
            self._binding.bind_ortvalue_input(name, value)
        for name, value in zip(names[1], self._outputs, strict=True):
            self._binding.bind_ortvalue_output(name, value)

    def encode(self, images: Images) -> Floats:
        return one_by_one(self._run, (images,))[0]

    def answer(self, features: Sequence[Floats]) -> Sequence[Floats]:
        return one_by_one(self._run, features)

    def _run(self, given: Sequence[Any]) -> list[Floats]:
        with self._lock:
            for value, array in zip(self._inputs, given, strict=True):
                value.update_inplace(np.ascontiguousarray(array))
            self._session.run_with_iobinding(self._binding)
            return [np.array(value.numpy()) for value in self._outputs]

    def warm_up(self) -> None:
        """Has the CUDA graph captured: ONNX Runtime does that after some ordinary runs."""
        for _ in range(3):
            self._session.run_with_iobinding(self._binding)


def _of_one(shape: Sequence[int | str]) -> list[int]:
    """The shape as it is written in the graph, where the batch is a name."""
    return [1 if isinstance(length, str) else length for length in shape]


def _open(part: str, graph: bytes, operators: Path) -> BoundPart:
    import onnxruntime

    if PROVIDER not in onnxruntime.get_available_providers():
        raise EngineError(f"ONNX Runtime {onnxruntime.__version__} has no CUDA provider: pip install 'canthus[gpu]'")
    if hasattr(onnxruntime, "preload_dlls"):
        onnxruntime.preload_dlls()  # CUDA and cuDNN, where pip installed them
    name = member(part)
    options = session_options(1, operators)
    options.add_free_dimension_override_by_name("batch", 1)
    try:
        providers = [(PROVIDER, {**_OPTIONS, "enable_cuda_graph": "1"}), "CPUExecutionProvider"]
        session = onnxruntime.InferenceSession(graph, options, providers=providers)
        # Else ONNX Runtime goes on without the GPU.
        if PROVIDER not in session.get_providers():
            raise EngineError(f"{name}: ONNX Runtime's CUDA provider can't start; canthus doctor tells what is missing")
        opened = BoundPart(session, "cuda", signature(part))
        opened.warm_up()
        return opened
    except EngineError:
        raise
    except Exception as error:  # ONNX Runtime's exceptions share no base but this one
        version = onnxruntime.__version__
        raise EngineError(f"{name}: ONNX Runtime {version} can't run it with CUDA ({first_line(error)})") from error
