"""ONNX Runtime for tests: with canthus's library or without it."""

import onnxruntime

from canthus.operators import library_path


def open_session(model, library, optimized=None):
    """A session of an ONNX model; what it made of the graph is written to `optimized`, if that is given."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 2
    if library:
        options.register_custom_ops_library(str(library_path()))
    if optimized:
        options.optimized_model_filepath = str(optimized)
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
