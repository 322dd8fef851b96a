"""Which TensorRT: the full library, for the GPU at hand, or TensorRT-RTX, which builds for GPUs elsewhere too."""

from __future__ import annotations

import functools
import importlib
import re
import threading
from collections import deque
from dataclasses import dataclass
from typing import Any

from canthus.errors import EngineError
from canthus.imports import importing

_MODULE = {"tensorrt": "tensorrt", "tensorrt_rtx": "tensorrt_rtx_bindings"}
_TITLE = {"tensorrt": "TensorRT", "tensorrt_rtx": "TensorRT-RTX"}
_REMEDY = {
    "tensorrt": "on a Jetson it comes with JetPack (python3-libnvinfer); elsewhere pip install 'canthus[tensorrt]'",
    "tensorrt_rtx": "pip install 'canthus[tensorrt-rtx]'",
}
_EARLIEST_AHEAD_OF_TIME = 80  # compute capability 8.0; Turing's plans can't be one with those of later GPUs
_MOST_MESSAGES = 100


@dataclass(frozen=True, eq=False)
class Library:
    """What differs between the two; their Python API is the same as far as canthus uses it.

    Attributes:
        name: `tensorrt` or `tensorrt_rtx`.
        version: its own, such as "10.3.0".
        module: its Python module.
        log: the only logger that this process gives it, as TensorRT keeps the first that it is given.
        ahead_of_time: the compute capabilities, (major, minor), that one plan of it serves and that it builds for
            without having such a GPU; empty if it builds for the GPU at hand alone.
    """

    name: str
    version: str
    module: Any
    log: Any
    ahead_of_time: tuple[tuple[int, int], ...]

    def __str__(self) -> str:
        return f"{_TITLE[self.name]} {self.version}"


@functools.cache
def open_library(name: str) -> Library:
    """`tensorrt` or `tensorrt_rtx`.

    Raises:
        EngineError: it is not installed, or too old.
    """
    with importing(_MODULE[name], _REMEDY[name], EngineError):
        module: Any = importlib.import_module(_MODULE[name])
    return Library(
        name, str(module.__version__), module, _log(module), _ahead_of_time(module) if name == "tensorrt_rtx" else ()
    )


def is_usable(name: str) -> bool:
    """Whether `open_library` opens it."""
    try:
        open_library(name)
    except EngineError:
        return False
    return True


def _ahead_of_time(module: Any) -> tuple[tuple[int, int], ...]:
    numbers = [int(name[2:]) for name in module.ComputeCapability.__members__ if re.fullmatch(r"SM\d+", name)]
    return tuple(divmod(number, 10) for number in sorted(numbers) if number >= _EARLIEST_AHEAD_OF_TIME)


def _log(module: Any) -> Any:
    """A logger that keeps a thread's errors for the message of an exception, and is silent."""
    severity = module.ILogger.Severity

    class Log(module.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            module.ILogger.__init__(self)
            self._messages: deque[str] = deque(maxlen=_MOST_MESSAGES)
            self._lock = threading.Lock()

        def log(self, level: Any, message: str) -> None:
            # A builder without a GPU says so again and again; that is none of its errors.
            if level in (severity.INTERNAL_ERROR, severity.ERROR) and "catchCudaError" not in message:
                with self._lock:
                    self._messages.append(message)

        def clear(self) -> None:
            with self._lock:
                self._messages.clear()

        def last(self) -> str:
            """The last error since `clear`, in one line."""
            with self._lock:
                return one_line(self._messages[-1]) if self._messages else "it doesn't say why"

    return Log()


def one_line(message: str) -> str:
    """A message of TensorRT's, without its line breaks and where in its own source it was made."""
    lines = [line for line in message.splitlines() if "catchCudaError" not in line]
    text = re.sub(r"\s*\(?\bIn \w+ at /\S+:\d+\)?", "", " ".join(" ".join(lines).split()))
    return text[:400]
