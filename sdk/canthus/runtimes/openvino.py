"""OpenVINO for the encoders, on the processor; what follows them stays with ONNX Runtime and canthus's kernels."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from canthus.errors import EngineError
from canthus.imports import import_lack
from canthus.runtimes.onnx_parts import Part
from canthus.runtimes.onnxruntime import OnnxRuntime

_OPTIONS = {"NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}


class OpenVino(OnnxRuntime):
    """As `OnnxRuntime`, whose encoders OpenVINO compiles for the processor at hand.

    What is float32 in the graphs stays so: OpenVINO would take bfloat16, where the processor has it, and other answers
    would come of it.

    Raises:
        EngineError: OpenVINO or ONNX Runtime is not installed, or a graph is none that they can run.
    """

    name = "openvino"

    def __init__(self, prime: bytes, react: bytes, threads: int, operators: Path | None) -> None:
        self._openvino = _import_silently()
        self._core = self._openvino.Core()
        super().__init__(prime, react, threads, operators)

    def _splits(self, threads: int) -> bool:
        return True

    def _open_encoder(self, name: str, part: Part, threads: int) -> Any:
        try:
            return _Encoder(self._core, part, _OPTIONS | {"INFERENCE_NUM_THREADS": threads})
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise EngineError(f"{name}: OpenVINO {self._openvino.__version__} can't run it ({reason})") from error


def _import_silently() -> Any:
    """OpenVINO, without the package by which its import is reported to its maker."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        import openvino
    except ImportError as error:
        raise EngineError(str(import_lack(error, "openvino", "pip install 'canthus[openvino]'"))) from error
    return openvino


class _Encoder:
    """Takes one image at a time: OpenVINO is fast where it knows all sizes."""

    def __init__(self, core: Any, part: Part, options: dict[str, Any]) -> None:
        model = core.read_model(model=part.model)
        shape = model.input(0).get_partial_shape()
        shape[0] = 1
        model.reshape(shape)
        self._request = core.compile_model(model, "CPU", options).create_infer_request()
        self._lock = threading.Lock()
        # The first inference of a process must not meet another: OpenVINO 2026.4's bindings set themselves up in it,
        # and two threads that do so wait for each other for ever.
        self.run((), {"any image": np.zeros(tuple(model.input(0).shape), np.uint8)})

    def run(self, _outputs: Sequence[str], values: Mapping[str, Any]) -> list[Any]:
        (images,) = values.values()
        with self._lock:
            return [np.concatenate([self._request.infer({0: image[None]})[0].copy() for image in images])]
