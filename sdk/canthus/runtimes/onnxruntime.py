"""ONNX Runtime on the CPU, with canthus's kernels in place of the function bodies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from canthus._native import multiplies_int8_exactly
from canthus.errors import EngineError
from canthus.imports import import_lack
from canthus.runtimes import Floats, Images, Reaction
from canthus.runtimes.onnx_parts import Part, split

PRIME = (("frame", "event"), ("first_frame", "first_event"))
REACT = (("frame", "event", "first_frame", "first_event"), ("logits", "probabilities", "experts"))


class OnnxRuntime:
    """Both graphs as ONNX Runtime sessions. With two threads or more, the two encoders of a moment run at once.

    Args:
        prime, react: the graphs.
        threads: that a graph may use.
        operators: canthus's operator library; None runs the portable function bodies instead.
        as_written: run every operator as the graph has it, none fused with another.
        in_float32: compute in float32 what an INT8 graph would in INT8, to compare with.

    Raises:
        EngineError: ONNX Runtime is not installed, or a graph is none that it can run.
    """

    name = "onnxruntime"

    def __init__(
        self,
        prime: bytes,
        react: bytes,
        threads: int,
        operators: Path | None,
        *,
        as_written: bool = False,
        in_float32: bool = False,
    ) -> None:
        self._beside = ThreadPoolExecutor(1, "canthus-encoder")
        if threads > 1:
            self._beside.submit(int).result()  # its thread is there before the first frame
        self._operators, self._as_written, self._in_float32 = operators, as_written, in_float32
        self._prime, self._react = (
            self._open(name, graph, signature, threads)
            for name, graph, signature in (("prime.onnx", prime, PRIME), ("react.onnx", react, REACT))
        )

    def prime(self, frame: Images, event: Images) -> tuple[Floats, Floats]:
        first_frame, first_event = self._prime.run({"frame": frame, "event": event}, self._beside)
        return first_frame, first_event

    def react(self, frame: Images, event: Images, first_frame: Floats, first_event: Floats) -> Reaction:
        inputs = {"frame": frame, "event": event, "first_frame": first_frame, "first_event": first_event}
        return Reaction(*self._react.run(inputs, self._beside))

    def _splits(self, threads: int) -> bool:
        """Whether encoders are opened by themselves."""
        return threads > 1

    def _open_encoder(self, name: str, part: Part, threads: int) -> Any:
        return self._open_session(name, part, threads)

    def _open_session(self, name: str, part: Part, threads: int) -> Any:
        return open_session(
            name, part.model, threads, self._operators, as_written=self._as_written, in_float32=self._in_float32
        )

    def _open(self, name: str, graph: bytes, signature: tuple[Sequence[str], Sequence[str]], threads: int) -> _Graph:
        encoders = ("frame", "event") if self._splits(threads) else ()
        try:
            parts = split(graph, encoders)
        except ValueError as error:
            raise EngineError(f"{name}: can't be read ({error}); export the bundle again") from error
        made = {output for part in parts for output in part.outputs}
        found = {name for part in parts for name in part.inputs} - made
        if not (found <= set(signature[0]) and made >= set(signature[1])):
            raise EngineError(
                f"{name}: takes {sorted(found)} and gives {sorted(made)}, not {signature}; export the bundle again"
            )
        opened = _Graph([], [], threads > 1, signature[1])
        for part in parts:
            if encoders and made.isdisjoint(part.inputs) and len(part.inputs) == 1:
                session = self._open_encoder(name, part, max(threads // len(encoders), 1))
                opened.encoders.append(_Opened(session, part.inputs, part.outputs))
            else:
                opened.rest.append(_Opened(self._open_session(name, part, threads), part.inputs, part.outputs))
        return opened


class _Opened(NamedTuple):
    """A part of a graph, ready to run."""

    session: Any
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def run(self, values: Mapping[str, Any]) -> dict[str, Any]:
        found = self.session.run(self.outputs, {name: values[name] for name in self.inputs})
        return dict(zip(self.outputs, found, strict=True))


class _Graph(NamedTuple):
    """A graph in parts: its encoders, at once if they may, and what follows them; or all in one."""

    encoders: list[_Opened]
    rest: list[_Opened]
    at_once: bool
    outputs: Sequence[str]

    def run(self, inputs: Mapping[str, Any], beside: ThreadPoolExecutor) -> list[Any]:
        values = dict(inputs)
        here, others = (self.encoders[:1], self.encoders[1:]) if self.at_once else (self.encoders, [])
        started = [beside.submit(other.run, inputs) for other in others]
        for part in here:
            values |= part.run(inputs)
        for run in started:
            values |= run.result()
        for part in self.rest:
            values |= part.run(values)
        return [values[name] for name in self.outputs]


def open_session(
    name: str, graph: bytes, threads: int, operators: Path | None, *, as_written: bool = False, in_float32: bool = False
) -> Any:
    """An `onnxruntime.InferenceSession` for a graph, which errors call `name`, on the CPU.

    Raises:
        EngineError: as `OnnxRuntime`.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise EngineError(str(import_lack(error, "onnxruntime", "pip install 'canthus[cpu]'"))) from error
    options = session_options(threads, operators, as_written=as_written, in_float32=in_float32)
    try:
        # This one lets rounding to 8 bits do what a ReLU does, and so takes the ReLU away.
        without = ["ReluQuantRewrite"] if in_float32 else None
        return onnxruntime.InferenceSession(
            graph, options, providers=["CPUExecutionProvider"], disabled_optimizers=without
        )
    except Exception as error:  # ONNX Runtime's exceptions share no base but this one
        reason = str(error).splitlines()[0]
        raise EngineError(f"{name}: ONNX Runtime {onnxruntime.__version__} can't run it ({reason})") from error


def session_options(threads: int, operators: Path | None, *, as_written: bool = False, in_float32: bool = False) -> Any:
    """`onnxruntime.SessionOptions` for any of a bundle's graphs; the arguments are those of `OnnxRuntime`.

    INT8 gives the same answers on every processor. On an x86 without VNNI, ONNX Runtime would add the products of two
    8-bit weights in 16 bits, and saturate (onnxruntime#6004); there it is told to add in 32. Layers whose weights take
    7 bits, and so can't saturate, it leaves as they are: fast.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    if as_written:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    if in_float32:  # what is rounded to 8 bits and back is left as it is
        options.add_session_config_entry("session.disable_quant_qdq", "1")
        options.add_session_config_entry("session.enable_quant_qdq_cleanup", "1")
    # Two sessions take turns: one's idle threads must not spin while the other works.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # A graph is data from outside: it may name no other file to read weights from.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", "/nonexistent")
    if not multiplies_int8_exactly():
        options.add_session_config_entry("session.x64quantprecision", "1")
    if operators is not None:
        options.register_custom_ops_library(str(operators))
    return options
