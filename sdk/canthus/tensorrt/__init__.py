"""TensorRT: plans are built from a bundle's graphs for one kind of GPU, signed, and kept beside the bundle."""
