"""Which runtime runs a bundle: the one that was asked for, or the fastest of those that answer as they should."""

from __future__ import annotations

import statistics
import time

from canthus.bundle import Bundle
from canthus.device import requirements
from canthus.device.requirements import missing
from canthus.engine import Engine
from canthus.errors import EngineError
from canthus.manifest import MEMBERS, Manifest
from canthus.operators import library_path
from canthus.runtimes import Runtime
from canthus.verify import Golden, replay, tolerance

AUTO = "auto"
BACKENDS = (AUTO, *requirements.BACKENDS)

_Graphs = tuple[bytes, bytes]
"""`prime.onnx` and `react.onnx`."""

_REMEDY = "export it for this device (--target), or in float32; canthus verify tells more"

_ROUNDS = 15
"""In which two backends take turns; half a second for a network of the paper's size."""


def open_engine(bundle: Bundle, backend: str, threads: int, *, check: bool = True) -> Engine:
    """An engine of the backend named; of `auto`, the fastest of those that are here and compute what the bundle says.

    Args:
        check: refuse a backend that doesn't; what is in float32 throughout is only checked to choose among several.

    Raises:
        BundleError: the bundle is damaged.
        EngineError: an unknown backend, it can't run the bundle, or answers otherwise than the bundle says.
    """
    if backend not in BACKENDS:
        raise EngineError(f"unknown backend {backend!r}; there are {', '.join(BACKENDS)}")
    if threads < 1:
        raise EngineError(f"threads is {threads}; an engine needs at least 1")
    # Not all are used by each; a bundle with any damaged member is not to be trusted.
    prime, react, _ = (bundle.read(member) for member in MEMBERS)
    graphs = (prime, react)
    if backend == AUTO:
        return _fastest(bundle, graphs, threads, check=check)
    if lack := missing(backend):
        raise EngineError(f"backend {backend} can't run here: {lack}")
    engine = _open(bundle, graphs, backend, threads)
    checked = check and bundle.manifest.precision != "float32"
    if checked and (wrong := _wrong(engine, Golden.from_bundle(bundle))):
        raise EngineError(f"{bundle.path}: {backend} answers otherwise than it should: {wrong}; {_REMEDY}")
    return engine.chosen("it was asked for")


def _wrong(engine: Engine, golden: Golden) -> str:
    """What is wrong with an engine's answers; nothing, if they are as the bundle says."""
    difference, allowed = replay(engine, golden), tolerance(engine.manifest)
    return "" if difference <= allowed else f"its answers are {difference:.1e} off, more than {allowed:.2g}"


def _fastest(bundle: Bundle, graphs: _Graphs, threads: int, *, check: bool) -> Engine:
    opened, passed_over = {}, {}
    for backend in requirements.BACKENDS:
        if lack := missing(backend):
            passed_over[backend] = lack
            continue
        try:
            opened[backend] = _open(bundle, graphs, backend, threads)
        except EngineError as error:
            passed_over[backend] = str(error)
    if not opened:
        raise EngineError(f"{bundle.path}: no backend can run it here; {_reasons(passed_over)}")
    precision = bundle.manifest.precision
    if len(opened) == 1 and (precision == "float32" or not check):
        (engine,) = opened.values()
        return engine.chosen(f"the only one here; {_reasons(passed_over)}")

    golden = Golden.from_bundle(bundle)
    wrong = {backend: reason for backend, engine in opened.items() if (reason := _wrong(engine, golden))}
    if check and len(wrong) == len(opened):
        raise EngineError(
            f"{bundle.path}: no backend here answers as it should; {_reasons({**wrong, **passed_over})}; {_REMEDY}"
        )
    kept = [backend for backend in opened if backend not in wrong] or [*opened][:1]
    passed_over |= {backend: reason for backend, reason in wrong.items() if backend not in kept}
    opened = {backend: opened[backend] for backend in kept}
    compares = precision == "int8" and missing("onnxruntime") is None
    others = [_in_float32(bundle.manifest, graphs, threads)] if compares else []
    times = _milliseconds([*opened.values(), *others], golden)
    takes = dict(zip(opened, times, strict=False))
    taken = min(takes, key=lambda backend: takes[backend])
    slower = {backend: f"{takes[backend]:.1f} ms" for backend in takes if backend != taken}
    why = f"a moment takes {takes[taken]:.1f} ms; {_reasons({**slower, **passed_over})}"
    if others and times[-1] < takes[taken]:
        why += f"; float32 would take {times[-1]:.1f} ms: on this processor a float32 bundle is faster"
    return opened[taken].chosen(why)


def _reasons(passed_over: dict[str, str]) -> str:
    """One line. Of several backends with one reason, it is said once."""
    alike: dict[str, list[str]] = {}
    for backend, reason in passed_over.items():
        alike.setdefault(reason.replace("\n", " "), []).append(backend)
    return "; ".join(f"{' and '.join(backends)}: {reason}" for reason, backends in alike.items())


def _milliseconds(engines: list[Engine], golden: Golden) -> list[float]:
    """What `prime` and `react` take together."""
    frame, event = golden.frame[0], golden.event[0]
    times: list[list[float]] = [[] for _ in engines]
    for _ in range(_ROUNDS):
        for engine, spent in zip(engines, times, strict=True):
            start = time.perf_counter()
            engine.react(frame[1], event[1], engine.prime(frame[0], event[0]))
            spent.append(1000 * (time.perf_counter() - start))
    return [statistics.median(spent) for spent in times]


def _open(bundle: Bundle, graphs: _Graphs, backend: str, threads: int) -> Engine:
    return Engine(bundle.manifest, _runtime(bundle, graphs, backend, threads))


def _in_float32(manifest: Manifest, graphs: _Graphs, threads: int) -> Engine:
    """What an INT8 network would be without it, to measure beside it."""
    from canthus.runtimes.onnxruntime import OnnxRuntime

    return Engine(manifest, OnnxRuntime(*graphs, threads, library_path(), in_float32=True))


def _runtime(bundle: Bundle, graphs: _Graphs, backend: str, threads: int) -> Runtime:
    if backend == "tensorrt":
        from canthus.runtimes.tensorrt import TensorRt

        return TensorRt(bundle)
    if backend == "cuda":
        from canthus.runtimes.cuda import Cuda

        return Cuda(*graphs, library_path())
    if backend == "openvino":
        from canthus.runtimes.openvino import OpenVino

        return OpenVino(*graphs, threads, library_path())
    from canthus.runtimes.onnxruntime import OnnxRuntime

    return OnnxRuntime(*graphs, threads, library_path())
