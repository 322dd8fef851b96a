"""What making bundles and building canthus need; a device needs none of it."""

from __future__ import annotations

import importlib.util
import re
import shutil
from collections.abc import Iterator
from importlib.metadata import requires
from pathlib import Path

from canthus.device.doctor import files
from canthus.device.doctor.findings import Finding
from canthus.device.requirements import installed_version

_SECTION = "development"
_EXTRAS = {
    "export": "canthus export, also to INT8",
    "see": "reads the SEE data set, which INT8 calibrates with",
    "train": "canthus train and evaluate",
}


def examine_development() -> Iterator[Finding]:
    for extra, purpose in _EXTRAS.items():
        yield _extra(extra, purpose)
    compiler = _cuda_compiler()
    if compiler:
        yield Finding(_SECTION, "ok", "nvcc", str(compiler))
    else:
        yield Finding(_SECTION, "note", "nvcc", "not found; needed to build canthus with CUDA")


def _extra(extra: str, purpose: str) -> Finding:
    packages = [
        found[1]
        for requirement in requires("canthus") or []
        if (found := re.match(rf"([\w.-]+).*;.*\bextra == ['\"]{extra}['\"]", requirement))
    ]
    versions = {package: installed_version(package) for package in packages}
    absent = [package for package, version in versions.items() if not version]
    if absent:
        fact = f"{purpose}: without {', '.join(absent)}; a device needs none of it"
        return Finding(_SECTION, "note", extra, fact, f"pip install 'canthus[{extra}]'")
    installed = ", ".join(f"{package} {version}" for package, version in versions.items())
    return Finding(_SECTION, "ok", extra, f"{purpose}: {installed}")


def _cuda_compiler() -> Path | None:
    on_path = shutil.which("nvcc")
    if on_path:
        return Path(on_path)
    packages = importlib.util.find_spec("nvidia")
    folders = [Path(folder) for folder in (packages.submodule_search_locations or [])] if packages else []
    candidates = [*files.matching("usr/local/cuda/bin/nvcc"), *(path for f in folders for path in f.glob("*/bin/nvcc"))]
    return next(iter(candidates), None)
