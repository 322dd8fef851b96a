"""Which backends can run a bundle here, and the versions of what they are made of."""

from __future__ import annotations

import functools
from collections.abc import Iterator

from canthus.device.doctor.findings import Finding
from canthus.device.requirements import BACKENDS, find_lack, installed_version
from canthus.imports import Lack, import_lack
from canthus.operators import library_path

SECTION = "backends"

_WHAT = {
    "onnxruntime": "ONNX Runtime, on the processor",
    "openvino": "OpenVINO for the encoders, on the processor",
    "cuda": "ONNX Runtime and canthus's CUDA kernels, on an NVIDIA GPU",
    "tensorrt": "TensorRT, on an NVIDIA GPU",
}
_PACKAGES = {
    "ONNX Runtime": ("onnxruntime-gpu", "onnxruntime"),
    "OpenVINO": ("openvino",),
    "TensorRT": ("tensorrt",),
    "TensorRT-RTX": ("tensorrt-rtx", "tensorrt-rtx-cu13-bindings", "tensorrt-rtx-cu12-bindings"),
    "cuda-bindings": ("cuda-bindings",),
}


def examine_backends() -> Iterator[Finding]:
    """One finding for each backend, named as the backend is; "ok" if it can run a bundle."""
    for backend in BACKENDS:
        lack = find_lack(backend) or (None if backend == "tensorrt" else _why_onnxruntime_fails())
        if lack:
            yield Finding(SECTION, "missing", backend, lack.what, lack.remedy)
        else:
            yield Finding(SECTION, "ok", backend, f"ready: {_WHAT[backend]}")


def examine_packages() -> Iterator[Finding]:
    for name, distributions in _PACKAGES.items():
        installed = installed_version(*distributions)
        if not installed:
            yield Finding("runtimes", "note", name, "not installed")
        elif name == "ONNX Runtime":
            yield Finding("runtimes", "ok", name, f"{installed}{_providers()}")
        else:
            yield Finding("runtimes", "ok", name, installed)


def _providers() -> str:
    if _why_onnxruntime_fails():
        return ""
    import onnxruntime

    names = [name.removesuffix("ExecutionProvider") for name in onnxruntime.get_available_providers()]
    return f"; execution providers: {', '.join(names)}"


@functools.cache
def _why_onnxruntime_fails() -> Lack | None:
    """Of a package that is there, but damaged or for another machine, only the attempt tells."""
    try:
        import onnxruntime

        onnxruntime.SessionOptions().register_custom_ops_library(str(library_path()))
    except ImportError as error:
        return import_lack(error, "onnxruntime", "pip install 'canthus[cpu]'")
    except Exception as error:  # whatever a damaged package raises
        reason = (str(error) or type(error).__name__).strip().splitlines()[0]
        return Lack(f"onnxruntime doesn't start: {reason}", "install onnxruntime again, and canthus")
    return None
