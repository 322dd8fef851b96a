"""Which runtime runs a bundle: the one that was asked for, or the fastest of those that answer as they should."""

from __future__ import annotations

import statistics
import time

from canthus import requirements
from canthus.bundle import Bundle
from canthus.engine import Engine
from canthus.errors import EngineError
from canthus.manifest import MEMBERS
from canthus.operators import library_path
from canthus.requirements import missing
from canthus.runtimes import Runtime
from canthus.verify import Golden, replay, tolerance

AUTO = "auto"
BACKENDS = (AUTO, *requirements.BACKENDS)

_Graphs = tuple[bytes, bytes]
"""`prime.onnx` and `react.onnx`."""

_ROUNDS = 15
"""In which two backends take turns; half a second for a network of the paper's size."""


def open_engine(bundle: Bundle, backend: str, threads: int) -> Engine:
    """An engine of the backend named; of `auto`, the fastest of those that are here and compute what the bundle says.

    Raises:
        BundleError: the bundle is damaged.
        EngineError: an unknown backend, or it can't run the bundle.
    """
    if backend not in BACKENDS:
        raise EngineError(f"unknown backend {backend!r}; there are {', '.join(BACKENDS)}")
    if threads < 1:
        raise EngineError(f"threads is {threads}; an engine needs at least 1")
    # Not all are used by each; a bundle with any damaged member is not to be trusted.
    prime, react, _ = (bundle.read(member) for member in MEMBERS)
    graphs = (prime, react)
    if backend == AUTO:
        return _fastest(bundle, graphs, threads)
    if lack := missing(backend):
        raise EngineError(f"backend {backend} can't run here: {lack}")
    return _open(bundle, graphs, backend, threads).chosen("it was asked for")


def _fastest(bundle: Bundle, graphs: _Graphs, threads: int) -> Engine:
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
    if len(opened) == 1:
        (engine,) = opened.values()
        return engine.chosen(f"the only one here; {_reasons(passed_over)}")

    golden, allowed = Golden.from_bundle(bundle), tolerance(bundle.manifest)
    differences = {backend: replay(engine, golden) for backend, engine in opened.items()}
    right = [backend for backend, difference in differences.items() if difference <= allowed]
    for backend in opened.keys() - set(right or list(opened)[:1]):  # if none is right, `canthus verify` tells
        passed_over[backend] = f"its logits are {differences[backend]:.1e} off, more than {allowed:.2g}"
        del opened[backend]
    takes = dict(zip(opened, _milliseconds([*opened.values()], golden), strict=True))
    taken = min(takes, key=lambda backend: takes[backend])
    slower = {backend: f"{takes[backend]:.1f} ms" for backend in takes if backend != taken}
    return opened[taken].chosen(f"a moment takes {takes[taken]:.1f} ms; {_reasons({**slower, **passed_over})}")


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
