"""What an import lacked that failed: a package that isn't there, or one that is, and can't be loaded."""

from __future__ import annotations

import importlib.util
import re
from typing import NamedTuple

_TITLES = {
    "PIL": "Pillow",
    "cuda": "cuda-bindings",
    "dv_processing": "dv-processing",
    "matplotlib": "Matplotlib",
    "onnxruntime": "ONNX Runtime",
    "openvino": "OpenVINO",
    "tensorrt": "TensorRT",
    "tensorrt_rtx_bindings": "TensorRT-RTX",
}
_SHARED_LIBRARY = re.compile(r"([^\s/:]+\.so)(\.[\w.]+)?: (?:cannot open shared object file: )?No such file")


class Lack(NamedTuple):
    """What is missing, and what to do about it, where that isn't said with it."""

    what: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.what}: {self.remedy}" if self.remedy else self.what


def import_lack(error: ImportError, module: str, install: str) -> Lack:
    """What was lacking, and the remedy.

    Args:
        error: what the import raised. It may name another module than the one asked for, which needs it.
        module: what was asked for.
        install: what installs that with all that it needs, as "pip install 'canthus[camera]'".
    """
    name = error.name or module
    top = name.partition(".")[0]
    title = _TITLES.get(top, top)
    if not isinstance(error, ModuleNotFoundError):
        return _cannot_be_loaded(title, top, str(error))
    if name != top and _has_code(top):
        return Lack(f"{title} is installed, but its module {name} isn't there", _again(top))
    return Lack(f"{title} isn't installed", install)


def _cannot_be_loaded(title: str, top: str, message: str) -> Lack:
    absent = _SHARED_LIBRARY.search(message)
    if absent:
        library, version = absent[1], absent[2] or ""
        return Lack(
            f"{title} is installed, but can't be loaded without the shared library {library}{version}, which isn't "
            "here",
            f"install that; on Debian and Ubuntu most likely by sudo apt install {_debian_package(library, version)}",
        )
    reason = (message.strip() or "it doesn't say why").splitlines()[0]
    return Lack(f"{title} is installed, but can't be loaded ({reason})", _again(top))


def _debian_package(library: str, version: str) -> str:
    """Debian names it by the library's: libatomic.so.1 is in libatomic1, libX11.so.6 in libx11-6."""
    name = library.removesuffix(".so").lower().replace("_", "-")
    hyphen = "-" if version and name[-1].isdigit() else ""
    return f"{name}{hyphen}{version.removeprefix('.')}"


def _has_code(package: str) -> bool:
    """Whether it is installed itself, and not a name that other packages share."""
    spec = importlib.util.find_spec(package)
    return spec is not None and spec.origin is not None


def _again(module: str) -> str:
    from importlib.metadata import packages_distributions

    distributions = packages_distributions().get(module) or [module]
    return f"pip install --force-reinstall {' '.join(dict.fromkeys(distributions))}"
