"""OpenVINO for the encoders, on the processor; the head stays with ONNX Runtime and canthus's kernels."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np

from canthus.errors import EngineError
from canthus.imports import importing
from canthus.parts import member
from canthus.runtimes import Encoder, Floats, Head, Images
from canthus.runtimes.onnxruntime import OnnxRuntime, check_signature

_OPTIONS = {"NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}


class OpenVino:
    """Compiles encoders for the processor at hand.

    What is float32 in the graphs stays so: OpenVINO would take bfloat16, where the processor has it, and other answers
    would come of it.

    Args:
        operators: canthus's operator library.

    Raises:
        EngineError: OpenVINO is not installed.
    """

    name = "openvino"

    def __init__(self, operators: Path | None) -> None:
        self._openvino = _import_silently()
        self._core = self._openvino.Core()
        self._for_the_head = OnnxRuntime(operators)

    def open_encoder(self, part: str, graph: bytes, threads: int) -> Encoder:
        try:
            return _Encoder(self._core, part, graph, _OPTIONS | {"INFERENCE_NUM_THREADS": threads})
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise EngineError(
                f"{member(part)}: OpenVINO {self._openvino.__version__} can't run it ({reason})"
            ) from error

    def open_head(self, graph: bytes, threads: int) -> Head:
        return self._for_the_head.open_head(graph, threads)


def _import_silently() -> Any:
    """OpenVINO, without the package by which its import is reported to its maker."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    with importing("openvino", "pip install --upgrade 'canthus[openvino]'", EngineError):
        import openvino
    return openvino


class _Encoder:
    """Takes one image at a time: OpenVINO is fast where it knows all sizes."""

    def __init__(self, core: Any, part: str, graph: bytes, options: dict[str, Any]) -> None:
        model = core.read_model(model=graph)
        check_signature(part, *([port.any_name for port in ports] for ports in (model.inputs, model.outputs)))
        shape = model.input(0).get_partial_shape()
        shape[0] = 1
        model.reshape(shape)
        self._request = core.compile_model(model, "CPU", options).create_infer_request()
        self._lock = threading.Lock()
        # The first inference of a process must not meet another: OpenVINO 2026.4's bindings set themselves up in it,
        # and two threads that do so wait for each other for ever.
        self.encode(np.zeros(tuple(model.input(0).shape), np.uint8))

    def encode(self, images: Images) -> Floats:
        with self._lock:
            return np.concatenate([self._request.infer({0: image[None]})[0].copy() for image in images])
