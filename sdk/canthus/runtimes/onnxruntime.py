"""ONNX Runtime on the CPU, with canthus's kernels in place of the function bodies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from canthus._native import multiplies_int8_exactly
from canthus.errors import EngineError
from canthus.imports import importing
from canthus.parts import HEAD, member, signature
from canthus.runtimes import Encoder, Floats, Head, Images

_NOWHERE = "/nonexistent"


class OnnxRuntime:
    """A session for each part.

    Args:
        operators: canthus's operator library; None runs the portable function bodies instead.
        as_written: run every operator as the graph has it, none fused with another.
        in_float32: compute in float32 what an INT8 graph would in INT8, to compare with.
    """

    name = "onnxruntime"

    def __init__(self, operators: Path | None, *, as_written: bool = False, in_float32: bool = False) -> None:
        self._operators, self._as_written, self._in_float32 = operators, as_written, in_float32

    def open_encoder(self, part: str, graph: bytes, threads: int) -> Encoder:
        return _Part(part, self._open(part, graph, threads))

    def open_head(self, graph: bytes, threads: int) -> Head:
        return _Part(HEAD, self._open(HEAD, graph, threads))

    def _open(self, part: str, graph: bytes, threads: int) -> Any:
        session = open_session(
            member(part), graph, threads, self._operators, as_written=self._as_written, in_float32=self._in_float32
        )
        check_signature(
            part, [given.name for given in session.get_inputs()], [made.name for made in session.get_outputs()]
        )
        return session


class _Part:
    """A session of a part: an `Encoder` or the `Head`."""

    def __init__(self, part: str, session: Any) -> None:
        self._part, self._session, (self._takes, self._gives) = part, session, signature(part)

    def encode(self, images: Images) -> Floats:
        return self.answer([images])[0]

    def answer(self, features: Sequence[NDArray[Any]]) -> Sequence[Floats]:
        try:
            made: Sequence[Floats] = self._session.run(self._gives, dict(zip(self._takes, features, strict=True)))
        except Exception as error:  # ONNX Runtime's exceptions share no base but this one
            raise EngineError(f"{member(self._part)}: ONNX Runtime fails in it ({first_line(error)})") from error
        return made


def check_signature(part: str, takes: Sequence[str], gives: Sequence[str]) -> None:
    """
    Raises:
        EngineError: the part's graph takes or gives something else than it should.
    """
    wanted = signature(part)
    if (sorted(takes), sorted(gives)) != (sorted(wanted[0]), sorted(wanted[1])):
        raise EngineError(
            f"{member(part)}: takes {', '.join(takes)} and gives {', '.join(gives)}, not {', '.join(wanted[0])} and "
            f"{', '.join(wanted[1])}; export the bundle again"
        )


def open_session(
    name: str,
    graph: bytes | Path,
    threads: int,
    operators: Path | None,
    *,
    as_written: bool = False,
    in_float32: bool = False,
) -> Any:
    """An `onnxruntime.InferenceSession` for a graph, which errors call `name`, on the CPU.

    A graph that is a file may have weights in others beside it.

    Raises:
        EngineError: ONNX Runtime is not installed, or the graph is none that it can run.
    """
    with importing("onnxruntime", "pip install --upgrade 'canthus[cpu]'", EngineError):
        import onnxruntime
    weights = str(graph.parent) if isinstance(graph, Path) else _NOWHERE
    options = session_options(threads, operators, as_written=as_written, in_float32=in_float32, weights=weights)
    try:
        # This one lets rounding to 8 bits do what a ReLU does, and so takes the ReLU away.
        without = ["ReluQuantRewrite"] if in_float32 else None
        return onnxruntime.InferenceSession(
            str(graph) if isinstance(graph, Path) else graph,
            options,
            providers=["CPUExecutionProvider"],
            disabled_optimizers=without,
        )
    except Exception as error:  # ONNX Runtime's exceptions share no base but this one
        version = onnxruntime.__version__
        raise EngineError(f"{name}: ONNX Runtime {version} can't run it ({first_line(error)})") from error


def first_line(error: Exception) -> str:
    """Of what an exception of ONNX Runtime's says."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def session_options(
    threads: int,
    operators: Path | None,
    *,
    as_written: bool = False,
    in_float32: bool = False,
    weights: str = _NOWHERE,
) -> Any:
    """`onnxruntime.SessionOptions` for any of a bundle's graphs; the arguments are those of `OnnxRuntime`.

    `weights` is a folder that a graph may name files in.

    INT8 gives the same answers on every processor. On an x86 without VNNI, ONNX Runtime would add the products of two
    8-bit weights in 16 bits, and saturate (onnxruntime#6004); there it is told to add in 32. Layers whose weights take
    7 bits, and so can't saturate, it leaves as they are: fast.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    # Parts take turns: what one gives back to the heap is still in the cache when the next asks for memory.
    options.enable_cpu_mem_arena = False
    if as_written:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    if in_float32:  # what is rounded to 8 bits and back is left as it is
        options.add_session_config_entry("session.disable_quant_qdq", "1")
        options.add_session_config_entry("session.enable_quant_qdq_cleanup", "1")
    # Two sessions take turns: one's idle threads must not spin while the other works.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Graphs were checked as ONNX: as something else they would be read unchecked.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    # A graph is data from outside: it may name no other file to read weights from.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", weights)
    if not multiplies_int8_exactly():
        options.add_session_config_entry("session.x64quantprecision", "1")
    if operators is not None:
        options.register_custom_ops_library(str(operators))
    return options
