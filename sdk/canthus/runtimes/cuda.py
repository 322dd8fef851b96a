"""ONNX Runtime's CUDA provider, with canthus's kernels on its stream, fixed buffers and a CUDA graph for each graph."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from canthus.errors import EngineError
from canthus.runtimes import Floats, Images, Reaction
from canthus.runtimes.one_by_one import Inputs, one_by_one
from canthus.runtimes.onnxruntime import PRIME, REACT, session_options

PROVIDER = "CUDAExecutionProvider"
_OPTIONS = {
    "use_tf32": "0",  # what is float32 in the graphs stays so
    "arena_extend_strategy": "kSameAsRequested",  # a Jetson's processor needs memory, too
}


class Cuda:
    """Both graphs on the first GPU, an image at a time. Several threads may ask; one is answered at a time.

    Args:
        prime, react: the graphs.
        operators: canthus's operator library.

    Raises:
        EngineError: ONNX Runtime has no CUDA provider, it can't start, or a graph is none that it can run.
    """

    name = "cuda"

    def __init__(self, prime: bytes, react: bytes, operators: Path) -> None:
        self._lock = threading.Lock()
        self._prime = _open("prime.onnx", prime, PRIME[1], operators)
        self._react = _open("react.onnx", react, REACT[1], operators)
        for graph in (self._prime, self._react):
            graph.warm_up()

    def prime(self, frame: Images, event: Images) -> tuple[Floats, Floats]:
        with self._lock:
            first_frame, first_event = one_by_one(self._prime.run, {"frame": frame, "event": event})
        return first_frame, first_event

    def react(self, frame: Images, event: Images, first_frame: Floats, first_event: Floats) -> Reaction:
        batch: Inputs = {"frame": frame, "event": event, "first_frame": first_frame, "first_event": first_event}
        with self._lock:
            return Reaction(*one_by_one(self._react.run, batch))


class BoundGraph:
    """A session whose inputs and outputs stay in the same memory of a device from run to run, as a CUDA graph needs.

    Args:
        session: whose batches are of one image.
        device: "cuda" or "cpu".
        outputs: that it is asked for, in order.
    """

    def __init__(self, session: Any, device: str, outputs: tuple[str, ...]) -> None:
        from onnxruntime import OrtValue

        types = {"tensor(uint8)": np.uint8, "tensor(float)": np.float32}
        self._session, self._binding = session, session.io_binding()
        self._inputs = {
            given.name: OrtValue.ortvalue_from_numpy(np.zeros(_of_one(given.shape), types[given.type]), device, 0)
            for given in session.get_inputs()
        }
        shapes = {made.name: _of_one(made.shape) for made in session.get_outputs()}
        self._outputs = [OrtValue.ortvalue_from_shape_and_type(shapes[name], np.float32, device, 0) for name in outputs]
        for name, value in self._inputs.items():
            self._binding.bind_ortvalue_input(name, value)
        for name, value in zip(outputs, self._outputs, strict=True):
            self._binding.bind_ortvalue_output(name, value)

    def run(self, inputs: Inputs) -> list[Floats]:
        for name, value in self._inputs.items():
            value.update_inplace(np.ascontiguousarray(inputs[name]))
        self._session.run_with_iobinding(self._binding)
        return [np.array(value.numpy()) for value in self._outputs]

    def warm_up(self) -> None:
        """Has the CUDA graph captured: ONNX Runtime does that after some ordinary runs."""
        for _ in range(3):
            self._session.run_with_iobinding(self._binding)


def _of_one(shape: Sequence[int | str]) -> list[int]:
    """The shape as it is written in the graph, where the batch is a name."""
    return [1 if isinstance(length, str) else length for length in shape]


def _open(name: str, graph: bytes, outputs: tuple[str, ...], operators: Path) -> BoundGraph:
    import onnxruntime

    if PROVIDER not in onnxruntime.get_available_providers():
        raise EngineError(f"ONNX Runtime {onnxruntime.__version__} has no CUDA provider: pip install 'canthus[gpu]'")
    if hasattr(onnxruntime, "preload_dlls"):
        onnxruntime.preload_dlls()  # CUDA and cuDNN, where pip installed them
    options = session_options(1, operators)
    options.add_free_dimension_override_by_name("batch", 1)
    try:
        providers = [(PROVIDER, {**_OPTIONS, "enable_cuda_graph": "1"}), "CPUExecutionProvider"]
        session = onnxruntime.InferenceSession(graph, options, providers=providers)
        # Else ONNX Runtime goes on without the GPU.
        if PROVIDER not in session.get_providers():
            raise EngineError(f"{name}: ONNX Runtime's CUDA provider can't start; canthus doctor tells what is missing")
        return BoundGraph(session, "cuda", outputs)
    except EngineError:
        raise
    except Exception as error:  # ONNX Runtime's exceptions share no base but this one
        reason = str(error).splitlines()[0]
        raise EngineError(
            f"{name}: ONNX Runtime {onnxruntime.__version__} can't run it with CUDA ({reason})"
        ) from error
