"""Which runtime runs a bundle: the one that was asked for, or the fastest of those that answer as they should."""

from __future__ import annotations

import importlib.util
import statistics
import time

from canthus.bundle import Bundle
from canthus.engine import Engine
from canthus.errors import EngineError
from canthus.operators import library_path
from canthus.runtimes import Runtime
from canthus.verify import Golden, replay, tolerance

AUTO = "auto"
BACKENDS = (AUTO, "onnxruntime", "openvino")

_ROUNDS = 15
"""In which two backends take turns; half a second for a network of the paper's size."""


def is_installed(package: str) -> bool:
    """Whether it could be imported."""
    return importlib.util.find_spec(package) is not None


def open_engine(bundle: Bundle, backend: str, threads: int) -> Engine:
    """An engine of the backend named; of `auto`, of OpenVINO where it is installed, computes what the bundle says and
    is faster, and of ONNX Runtime otherwise.

    Raises:
        BundleError: the bundle is damaged.
        EngineError: an unknown backend, or it can't run the bundle.
    """
    if backend not in BACKENDS:
        raise EngineError(f"unknown backend {backend!r}; there are {', '.join(BACKENDS)}")
    if threads < 1:
        raise EngineError(f"threads is {threads}; an engine needs at least 1")
    bundle.read("golden.npz")  # unused but for `auto`; a bundle with any damaged member is not to be trusted
    if backend != AUTO:
        return _open(bundle, backend, threads, "it was asked for")
    if not is_installed("openvino"):
        return _open(bundle, "onnxruntime", threads, "openvino isn't installed")
    return _better(bundle, threads)


def _better(bundle: Bundle, threads: int) -> Engine:
    usual = _open(bundle, "onnxruntime", threads, "")
    try:
        other = _open(bundle, "openvino", threads, "")
    except EngineError as error:
        return usual.chosen(f"openvino can't run it: {error}")
    golden = Golden.from_bundle(bundle)
    difference, allowed = replay(other, golden), tolerance(bundle.manifest)
    if not difference <= allowed:
        return usual.chosen(f"openvino's logits are {difference:.1e} off, more than {allowed:.2g}")
    usual_takes, other_takes = _milliseconds([usual, other], golden)
    if other_takes < usual_takes:
        return other.chosen(f"a moment takes {other_takes:.1f} ms, with onnxruntime {usual_takes:.1f}")
    return usual.chosen(f"a moment takes {usual_takes:.1f} ms, with openvino {other_takes:.1f}")


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


def _open(bundle: Bundle, backend: str, threads: int, why: str) -> Engine:
    prime, react = bundle.read("prime.onnx"), bundle.read("react.onnx")
    runtime: Runtime
    if backend == "openvino":
        from canthus.runtimes.openvino import OpenVino

        runtime = OpenVino(prime, react, threads, library_path(), exact=bundle.manifest.precision == "float32")
    else:
        from canthus.runtimes.onnxruntime import OnnxRuntime

        runtime = OnnxRuntime(prime, react, threads, library_path())
    return Engine(bundle.manifest, runtime).chosen(why)
