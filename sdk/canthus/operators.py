"""Where canthus's ONNX Runtime operators are."""

from pathlib import Path

from canthus import _native
from canthus.errors import EngineError


def library_path() -> Path:
    """The shared library of the operators of domain `canthus`, for ONNX Runtime 1.23 and later.

    Give it to `onnxruntime.SessionOptions.register_custom_ops_library`: its kernels then take over from the
    function bodies of the same names in a model.

    Raises:
        EngineError: the library is missing from the installation.
    """
    path = Path(_native.__file__).with_name("libcanthus_ops.so")
    if not path.is_file():
        raise EngineError(
            f"{path} is missing: install canthus again, it is built and installed with the package"
        )
    return path
