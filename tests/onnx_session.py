"""ONNX Runtime for tests: with canthus's library, with that of the operators for GPUs, or without one."""

import onnxruntime
import pytest

from canthus.operators import library_path
from cuda_device import operators_on_host

LIBRARIES = pytest.mark.parametrize("library", ["canthus_ops", "cuda_on_host", None])
"""None: the portable bodies."""


def open_session(model, library, optimized=None):
    """A session of an ONNX model; what it made of the graph is written to `optimized`, if that is given."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 2
    if library:
        path = library_path() if library == "canthus_ops" else operators_on_host()
        options.register_custom_ops_library(str(path))
    if optimized:
        options.optimized_model_filepath = str(optimized)
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
