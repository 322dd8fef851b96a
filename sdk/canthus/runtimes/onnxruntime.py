"""ONNX Runtime on the CPU, with canthus's kernels in place of the function bodies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from canthus.errors import EngineError
from canthus.runtimes import Floats, Images, Reaction

PRIME = (("frame", "event"), ("first_frame", "first_event"))
REACT = (("frame", "event", "first_frame", "first_event"), ("logits", "probabilities", "experts"))


class OnnxRuntime:
    """Both graphs as ONNX Runtime sessions.

    Args:
        prime, react: the graphs.
        threads: that each graph may use.
        operators: canthus's operator library; None runs the portable function bodies instead.
        as_written: run every operator as the graph has it, none fused with another.

    Raises:
        EngineError: ONNX Runtime is not installed, or a graph is none that it can run.
    """

    name = "onnxruntime"

    def __init__(
        self, prime: bytes, react: bytes, threads: int, operators: Path | None, *, as_written: bool = False
    ) -> None:
        self._prime = _session("prime.onnx", prime, PRIME, threads, operators, as_written)
        self._react = _session("react.onnx", react, REACT, threads, operators, as_written)

    def prime(self, frame: Images, event: Images) -> tuple[Floats, Floats]:
        first_frame, first_event = self._prime.run(PRIME[1], {"frame": frame, "event": event})
        return first_frame, first_event

    def react(self, frame: Images, event: Images, first_frame: Floats, first_event: Floats) -> Reaction:
        inputs = {"frame": frame, "event": event, "first_frame": first_frame, "first_event": first_event}
        return Reaction(*self._react.run(REACT[1], inputs))


def _session(
    name: str,
    graph: bytes,
    signature: tuple[tuple[str, ...], tuple[str, ...]],
    threads: int,
    operators: Path | None,
    as_written: bool,
) -> Any:
    session = open_session(name, graph, threads, operators, as_written=as_written)
    found = tuple(tuple(v.name for v in values) for values in (session.get_inputs(), session.get_outputs()))
    if found != signature:
        raise EngineError(f"{name}: has inputs and outputs {found}, not {signature}; export the bundle again")
    return session


def open_session(name: str, graph: bytes, threads: int, operators: Path | None, *, as_written: bool = False) -> Any:
    """An `onnxruntime.InferenceSession` for a graph, which errors call `name`, on the CPU.

    Raises:
        EngineError: as `OnnxRuntime`.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise EngineError("ONNX Runtime is not installed: pip install 'canthus[cpu]'") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    if as_written:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    # Two sessions take turns: one's idle threads must not spin while the other works.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # A graph is data from outside: it may name no other file to read weights from.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", "/nonexistent")
    if operators is not None:
        options.register_custom_ops_library(str(operators))
    try:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions share no base but this one
        reason = str(error).splitlines()[0]
        raise EngineError(f"{name}: ONNX Runtime {onnxruntime.__version__} can't run it ({reason})") from error
