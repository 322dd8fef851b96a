// ONNX Runtime custom operators: registration.
