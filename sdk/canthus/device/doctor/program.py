"""canthus itself: its version, and what it was built with."""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Iterator
from importlib.metadata import version

from canthus import _native
from canthus.device.doctor.findings import Finding
from canthus.errors import EngineError
from canthus.operators import library_path

_SECTION = "canthus"
_AGAIN = "install canthus again"


def examine_program() -> Iterator[Finding]:
    yield Finding(_SECTION, "ok", "version", f"{version('canthus')}, on Python {platform.python_version()}")
    yield _operators()
    yield _instruction_sets()
    architectures = _native.cuda_architectures()
    if architectures:
        yield Finding(
            _SECTION, "ok", "CUDA kernels", f"built for {', '.join(architectures)}, by CUDA {_native.cuda_version()}"
        )
    else:
        yield Finding(_SECTION, "note", "CUDA kernels", "not built; only the backend cuda needs them")


def _operators() -> Finding:
    try:
        ctypes.CDLL(str(library_path()))
    except EngineError:
        return Finding(_SECTION, "missing", "operators", "the operator library isn't there", _AGAIN)
    except OSError as error:
        return Finding(_SECTION, "missing", "operators", f"the operator library can't be loaded: {error}", _AGAIN)
    return Finding(_SECTION, "ok", "operators", "the operator library is there and loads")


def _instruction_sets() -> Finding:
    taken, *others = _native.instruction_sets()
    if taken == "baseline" and platform.machine() in ("x86_64", "AMD64"):
        return Finding(_SECTION, "note", "instructions", "baseline alone: without AVX2, this processor is slow")
    also = f" (also there: {', '.join(others)})" if others else ""
    return Finding(_SECTION, "ok", "instructions", f"the kernels use {taken}{also}")
