"""Where canthus's operator library for ONNX Runtime is."""

from __future__ import annotations

import sys
from pathlib import Path

from canthus import _native
from canthus.errors import EngineError

_NAMES = {"win32": "canthus_ops.dll", "darwin": "libcanthus_ops.dylib"}


def library_path() -> Path:
    """The library, for `SessionOptions.register_custom_ops_library`; it is installed beside `canthus._native`.

    Raises:
        EngineError: it isn't there.
    """
    path = Path(_native.__file__).with_name(_NAMES.get(sys.platform, "libcanthus_ops.so"))
    if not path.is_file():
        raise EngineError(f"{path}: the operator library is missing; install canthus again")
    return path
