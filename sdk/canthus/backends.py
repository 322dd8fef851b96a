"""Which runtime runs a bundle: the one that was asked for, or the fastest of those that answer as they should."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from canthus.bundle import Bundle, read_bundle
from canthus.device import requirements
from canthus.device.requirements import missing
from canthus.engine import Engine
from canthus.errors import EngineError
from canthus.eye import MEMBER as EYE_MEMBER
from canthus.eye import EyeCheck
from canthus.network import open_network
from canthus.operators import library_path
from canthus.runtimes import Network, Runtime
from canthus.speed import milliseconds, of_the_fastest_encoders
from canthus.threads import check_threads
from canthus.verify import Golden, allowed, replay

AUTO = "auto"
BACKENDS = (AUTO, *requirements.BACKENDS)

_Graphs = Mapping[str, bytes]
"""By part."""

_REMEDY = "export it for this device (--target), or in float32; canthus verify tells more"


def load(path: Path | str, backend: str = AUTO, threads: int = 2, *, check: bool = True) -> Engine:
    """Load a bundle.

    Args:
        path: a `.canthus` file.
        backend: `onnxruntime`; `openvino`, for the encoders; `cuda`, ONNX Runtime on an NVIDIA GPU; `tensorrt`, by
            plans that `canthus build` made; `auto` takes the fastest of those that are here and answer as the bundle
            says, also one for one encoder and another for another. That is measured, in about a second; `Engine.why`
            tells in one line, and why others were passed over.
        threads: that one call of `prime` or `react` may use.
        check: replay the golden vectors of an INT8 or float16 bundle, and refuse what answers otherwise on this
            machine. It takes as long as some twenty answers.

    Raises:
        BundleError: the file is damaged, was tampered with, or is no bundle.
        EngineError: an unknown backend, no thread or far too many, no runtime here can run it, or none answers as it
            should.
    """
    return open_engine(read_bundle(path), backend, threads, check=check)


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
    check_threads(threads)
    # Not all are used by each; a bundle with any damaged member is not to be trusted.
    graphs, eye_check = bundle.graphs(), _eye_check(bundle)
    bundle.read("golden.npz")
    if backend == AUTO:
        engine = _fastest(bundle, graphs, threads, check=check)
    else:
        engine = _asked_for(bundle, graphs, backend, threads, check=check)
    engine.eye_check = eye_check
    return engine


def _eye_check(bundle: Bundle) -> EyeCheck | None:
    if bundle.manifest.eye is None:
        return None
    return EyeCheck.from_bytes(bundle.read(EYE_MEMBER), bundle.manifest.image_size, str(bundle.path))


def _asked_for(bundle: Bundle, graphs: Mapping[str, bytes], backend: str, threads: int, *, check: bool) -> Engine:
    if lack := missing(backend):
        raise EngineError(f"backend {backend} can't run here: {lack}")
    engine = Engine(bundle.manifest, _open(bundle, graphs, backend, threads), "it was asked for")
    checked = check and bundle.manifest.precision != "float32"
    if checked and (wrong := _wrong(engine, Golden.from_bundle(bundle))):
        raise EngineError(f"{bundle.path}: {backend} answers otherwise than it should: {wrong}; {_REMEDY}")
    return engine


def _wrong(engine: Engine, golden: Golden) -> str:
    """What is wrong with an engine's answers; nothing, if they are as the bundle says."""
    return _reasons(replay(engine, golden).wrong(allowed(engine.manifest)))


def _fastest(bundle: Bundle, graphs: _Graphs, threads: int, *, check: bool) -> Engine:
    opened: dict[str, Network] = {}
    passed_over: dict[str, str] = {}
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
    manifest = bundle.manifest
    if len(opened) == 1 and (manifest.precision == "float32" or not check):
        (network,) = opened.values()
        return Engine(manifest, network, f"the only one here; {_reasons(passed_over)}")

    golden = Golden.from_bundle(bundle)
    wrong = {name: reason for name in opened if (reason := _wrong(Engine(manifest, opened[name]), golden))}
    if check and len(wrong) == len(opened):
        raise EngineError(
            f"{bundle.path}: no backend here answers as it should; {_reasons({**wrong, **passed_over})}; {_REMEDY}"
        )
    kept = [backend for backend in opened if backend not in wrong] or [*opened][:1]
    passed_over |= {backend: reason for backend, reason in wrong.items() if backend not in kept}
    opened = {backend: opened[backend] for backend in kept}
    if mixed := of_the_fastest_encoders(opened.values(), golden):
        opened[mixed.name] = mixed
    compares = manifest.precision == "int8" and missing("onnxruntime") is None
    others = [_in_float32(graphs, threads)] if compares else []
    times = milliseconds([*opened.values(), *others], golden)
    takes = dict(zip(opened, times, strict=False))
    taken = min(takes, key=lambda backend: takes[backend])
    slower = {backend: f"{takes[backend]:.1f} ms" for backend in takes if backend != taken}
    why = f"a moment takes {takes[taken]:.1f} ms; {_reasons({**slower, **passed_over})}"
    if others and times[-1] < takes[taken]:
        why += f"; float32 would take {times[-1]:.1f} ms: on this processor a float32 bundle is faster"
    return Engine(manifest, opened[taken], why)


def _reasons(passed_over: Mapping[str, str]) -> str:
    """One line. Of several with one reason, it is said once."""
    alike: dict[str, list[str]] = {}
    for name, reason in passed_over.items():
        alike.setdefault(reason.replace("\n", " "), []).append(name)
    return "; ".join(f"{' and '.join(names)}: {reason}" for reason, names in alike.items())


def _open(bundle: Bundle, graphs: _Graphs, backend: str, threads: int) -> Network:
    if backend == "tensorrt":
        from canthus.runtimes.tensorrt import TensorRt

        return TensorRt(bundle)
    return open_network(_runtime(backend), graphs, threads)


def _in_float32(graphs: _Graphs, threads: int) -> Network:
    """What an INT8 network would be without it, to measure beside it."""
    from canthus.runtimes.onnxruntime import OnnxRuntime

    return open_network(OnnxRuntime(library_path(), in_float32=True), graphs, threads)


def _runtime(backend: str) -> Runtime:
    if backend == "cuda":
        from canthus.runtimes.cuda import Cuda

        return Cuda(library_path())
    if backend == "openvino":
        from canthus.runtimes.openvino import OpenVino

        return OpenVino(library_path())
    from canthus.runtimes.onnxruntime import OnnxRuntime

    return OnnxRuntime(library_path())
