"""Optional packages: absent, there but not to be loaded, or of another version than canthus works with."""

from __future__ import annotations

import contextlib
import importlib.util
import re
import sys
from collections.abc import Iterator
from typing import NamedTuple

from canthus.errors import Error

_TITLES = {
    "PIL": "Pillow",
    "cuda": "cuda-bindings",
    "dv_processing": "dv-processing",
    "matplotlib": "Matplotlib",
    "onnxruntime": "ONNX Runtime",
    "openvino": "OpenVINO",
    "tensorrt": "TensorRT",
    "tensorrt_rtx_bindings": "TensorRT-RTX",
    "torch": "PyTorch",
}
VERSIONS: dict[str, tuple[str, str]] = {
    "PIL": ("12", "13"),
    "dv_processing": ("2.0.4", ""),
    "onnxruntime": ("1.23", ""),
    "openvino": ("2026.4", ""),
    "tensorrt": ("10.3", ""),
    "tensorrt_rtx_bindings": ("1.7", ""),
}
"""The oldest that canthus works with, and the first that it doesn't, if there is one; as pyproject.toml has them."""
_SHARED_LIBRARY = re.compile(r"([^\s/:]+\.so)(\.[\w.]+)?: (?:cannot open shared object file: )?No such file")


class Lack(NamedTuple):
    """What is missing, and what to do about it, where that isn't said with it."""

    what: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.what}: {self.remedy}" if self.remedy else self.what


@contextlib.contextmanager
def importing(module: str, install: str, raised: type[Error], begins: str = "") -> Iterator[None]:
    """For a `with` around an import: what it lacks becomes an error of canthus's.

    Args:
        module: what is imported.
        install: what installs that with all that it needs, as "pip install 'canthus[camera]'".
        raised: the error's class.
        begins: what the error's message begins with.

    Raises:
        raised: the package is absent, can't be loaded, or is of a version that canthus doesn't work with.
    """
    try:
        yield
    except Exception as error:  # whatever a broken package raises
        raise raised(f"{begins}{import_lack(error, module, install)}") from error
    if lack := version_lack(module, str(getattr(sys.modules.get(module), "__version__", "")), install):
        raise raised(f"{begins}{lack}")


def import_lack(error: Exception, module: str, install: str) -> Lack:
    """What was lacking, and the remedy.

    Args:
        error: what the import raised. It may name another module than the one asked for, which needs it.
        module, install: as in `importing`.

    Raises:
        KeyboardInterrupt: that is what the import met, and native code made another error of it.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, KeyboardInterrupt) or "KeyboardInterrupt" in str(cause):
            raise KeyboardInterrupt from error
        cause = cause.__cause__ or cause.__context__
    name = (error.name if isinstance(error, ImportError) else None) or module
    top = name.partition(".")[0]
    title = _TITLES.get(top, top)
    if not isinstance(error, ModuleNotFoundError):
        return _cannot_be_loaded(title, top, str(error))
    if name != top and _has_code(top):
        return Lack(f"{title} is installed, but its module {name} isn't there", _again(top))
    return Lack(f"{title} isn't installed", install)


def version_lack(module: str, version: str, install: str) -> Lack | None:
    """That canthus doesn't work with a version of a module, if so; `install` is as in `importing`."""
    oldest, first_not = VERSIONS.get(module, ("", ""))
    numbers, title = _numbers(version), _TITLES.get(module, module)
    if oldest and not numbers:
        return Lack(f"{title} is there, but only in part: it has no version", _again(module))
    if oldest and numbers < _numbers(oldest):
        return Lack(f"{title} {version} is too old, canthus needs {oldest} or later", install)
    if first_not and numbers >= _numbers(first_not):
        return Lack(f"{title} {version} is too new, canthus needs one before {first_not}", install)
    return None


def _numbers(version: str) -> tuple[int, ...]:
    """Of 2026.4.0-1b: 2026, 4, 0."""
    match = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, match[0].split("."))) if match else ()


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
