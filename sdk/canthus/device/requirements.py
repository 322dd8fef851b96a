"""What this machine lacks to run a backend, found out without starting one."""

from __future__ import annotations

import ctypes
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from canthus import _native
from canthus.device.gpu import Gpu, find_gpu, why_no_gpu
from canthus.device.needed_libraries import needed_libraries
from canthus.errors import EngineError
from canthus.imports import Lack, import_lack, version_lack
from canthus.operators import library_path


def missing(backend: str) -> str | None:
    """What this machine lacks to run `backend`, in one line with the remedy; None if nothing.

    That nothing is missing is no promise that every bundle runs; that something is, is one that none does.

    Raises:
        EngineError: an unknown backend.
    """
    lack = find_lack(backend)
    return None if lack is None else str(lack)


def find_lack(backend: str) -> Lack | None:
    """As `missing`, in two parts."""
    if backend not in _FIRST_LACK:
        raise EngineError(f"unknown backend {backend!r}; there are {', '.join(BACKENDS)}")
    return _FIRST_LACK[backend]()


def is_installed(module: str) -> bool:
    """Whether it could be imported; "a.b" imports a."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def installed_version(*distributions: str) -> str | None:
    """Of the first of them that is installed."""
    from importlib.metadata import PackageNotFoundError, version

    for distribution in distributions:
        try:
            return version(distribution)
        except PackageNotFoundError:
            continue
    return None


def covers(architectures: list[str], compute_capability: tuple[int, int]) -> bool:
    """Whether kernels compiled for the architectures run on a GPU; of the first there is PTX too, for newer ones."""
    built = [(int(name[3:-1]), int(name[-1])) for name in architectures]  # sm_87, sm_110
    return bool(built) and compute_capability >= min(built)


def _onnxruntime() -> Lack | None:
    if not is_installed("onnxruntime"):
        return Lack("onnxruntime isn't installed", "pip install 'canthus[cpu]'")
    version = installed_version("onnxruntime-gpu", "onnxruntime") or ""
    if lack := version and version_lack("onnxruntime", version, "pip install --upgrade 'canthus[cpu]'"):
        return lack
    try:
        library_path()
    except EngineError:
        return Lack("canthus's operator library isn't there", "install canthus again")
    return None


def _openvino() -> Lack | None:
    if not is_installed("openvino"):
        return Lack("openvino isn't installed", "pip install 'canthus[openvino]'")
    return _onnxruntime()


def _cuda() -> Lack | None:
    gpu = find_gpu()
    if not gpu:
        return Lack(f"no NVIDIA GPU: {why_no_gpu()}")
    if not is_installed("onnxruntime"):
        return Lack("onnxruntime-gpu isn't installed", _install_with_cuda(gpu))
    return _onnxruntime() or _cuda_provider(gpu) or _cuda_kernels(gpu)


def _cuda_provider(gpu: Gpu) -> Lack | None:
    """ONNX Runtime would take the processor without a word, or with one, where its provider can't be loaded."""
    plain, with_cuda = installed_version("onnxruntime"), installed_version("onnxruntime-gpu")
    try:
        import onnxruntime
    except Exception as error:  # whatever a broken package raises
        return import_lack(error, "onnxruntime", _install_with_cuda(gpu))
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        if plain and with_cuda:
            return Lack(
                "onnxruntime and onnxruntime-gpu are the same module, both are installed, and the one without CUDA won",
                f"pip uninstall onnxruntime onnxruntime-gpu, then {_install_with_cuda(gpu)}",
            )
        if plain:
            return Lack(
                "onnxruntime is installed, the same module as onnxruntime-gpu, but without CUDA",
                f"pip uninstall onnxruntime, then {_install_with_cuda(gpu)}",
            )
        return Lack("this onnxruntime was built without CUDA", f"uninstall it, then {_install_with_cuda(gpu)}")
    name = f"onnxruntime-gpu {onnxruntime.__version__}"
    return _driver_too_old(name, _cuda_of(onnxruntime), gpu) or _provider_libraries(name, Path(onnxruntime.__file__))


def _install_with_cuda(gpu: Gpu) -> str:
    """What the package index has is built for CUDA 13; NVIDIA builds for JetPack 6 and its Python 3.10."""
    if gpu.is_jetson and gpu.driver.startswith("12."):
        return "pip install onnxruntime-gpu --index-url https://pypi.jetson-ai-lab.io/jp6/cu126 (Python 3.10)"
    return "pip install 'canthus[gpu]'"


def _cuda_of(onnxruntime: Any) -> str:
    """The CUDA version that ONNX Runtime was built with, empty where it doesn't tell."""
    try:
        information = importlib.import_module(f"{onnxruntime.__name__}.capi.build_and_package_info")
    except ImportError:
        return ""
    return str(getattr(information, "cuda_version", ""))


def _driver_too_old(name: str, cuda: str, gpu: Gpu) -> Lack | None:
    """A driver runs what was built for its own major version of CUDA and for earlier ones."""
    major = cuda.partition(".")[0]
    if not major.isdigit() or int(major) <= int(gpu.driver.partition(".")[0]):
        return None
    what = f"{name} is built for CUDA {cuda}, and this driver supports CUDA up to {gpu.driver}"
    if gpu.is_jetson:
        return Lack(what, f"uninstall it, then {_install_with_cuda(gpu)}; or go to JetPack 7")
    return Lack(what, "update the driver, or install a version built for an earlier CUDA")


def _provider_libraries(name: str, module: Path) -> Lack | None:
    try:
        needed = needed_libraries(module.parent / "capi" / "libonnxruntime_providers_cuda.so")
    except (OSError, ValueError):  # another system, or built otherwise: nothing can be told
        return None
    absent = [library for library in needed if not _is_found(library)]
    if not absent:
        return None
    return Lack(
        f"{name} needs {', '.join(absent)}, which {'are' if len(absent) > 1 else 'is'} not here",
        "pip install 'onnxruntime-gpu[cuda,cudnn]', or the CUDA toolkit and cuDNN (a Jetson's come with JetPack)",
    )


def _is_found(library: str) -> bool:
    """Among the packages of NVIDIA's that pip installs, or by the system's loader."""
    packages = importlib.util.find_spec("nvidia")
    folders = (packages.submodule_search_locations or []) if packages else []
    if any(any(Path(folder).glob(f"*/lib/{library}")) for folder in folders):
        return True
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _cuda_kernels(gpu: Gpu) -> Lack | None:
    compiled_for, version = _native.cuda_architectures(), _native.cuda_version()
    if not compiled_for:
        return Lack("canthus was built without CUDA", "install nvcc and canthus again")
    if not covers(compiled_for, gpu.compute_capability):
        return Lack(
            f"canthus's kernels are built for {', '.join(compiled_for)} and what came after, and this GPU is "
            f"{gpu.architecture}"
        )
    if int(version.partition(".")[0]) > int(gpu.driver.partition(".")[0]):
        return Lack(
            f"canthus was built with CUDA {version}, and this driver supports CUDA up to {gpu.driver}",
            "install canthus again with an nvcc of that version (a Jetson's comes with JetPack), or update the driver",
        )
    return None


def _tensorrt() -> Lack | None:
    gpu = find_gpu()
    if not gpu:
        return Lack(f"no NVIDIA GPU: {why_no_gpu()}")
    if not is_installed("tensorrt"):
        lack = _tensorrt_rtx(gpu)
        if lack:
            return lack
    if not is_installed("cuda.bindings"):
        return Lack("cuda-bindings isn't installed", "pip install cuda-bindings")
    return None


def _tensorrt_rtx(gpu: Gpu) -> Lack | None:
    """TensorRT itself isn't installed; may TensorRT-RTX take its place?"""
    if gpu.is_jetson:
        system = f"{sys.version_info.major}.{sys.version_info.minor}"
        return Lack(
            "TensorRT isn't installed for this Python",
            "on a Jetson it comes with JetPack: sudo apt install python3-libnvinfer, and a virtual environment of the "
            f"system's own Python made with --system-site-packages (this Python is {system})",
        )
    if not is_installed("tensorrt_rtx_bindings"):
        return Lack(
            "TensorRT isn't installed", "pip install 'canthus[tensorrt]', or 'canthus[tensorrt-rtx]', which is smaller"
        )
    if gpu.compute_capability < (7, 5):
        major, minor = gpu.compute_capability
        return Lack(
            f"TensorRT-RTX needs a GPU of compute capability 7.5 or later, and this {gpu.name} has {major}.{minor}",
            "pip install 'canthus[tensorrt]'",
        )
    for cuda in ("13", "12"):
        if installed_version(f"tensorrt-rtx-cu{cuda}-bindings"):
            return _driver_too_old("TensorRT-RTX", cuda, gpu)
    return None


_FIRST_LACK: dict[str, Callable[[], Lack | None]] = {
    "onnxruntime": _onnxruntime,
    "openvino": _openvino,
    "cuda": _cuda,
    "tensorrt": _tensorrt,
}

BACKENDS = tuple(_FIRST_LACK)
