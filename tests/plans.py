"""What several tests of TensorRT share."""

from dataclasses import replace

from bundles import written
from canthus.bundle import read_bundle
from canthus.device.gpu import Gpu
from canthus.manifest import MEMBERS

A_GPU = Gpu("NVIDIA GeForce RTX 3060", (8, 6), 12 << 30, 28, False, "GPU-1", "13.0", None)


def no_report(*_at):
    pass


def changed(bundle, graph=lambda content: content, **fields):
    """The bundle again, with another `first_frame.onnx` or another manifest."""
    members = {name: bundle.read(name) for name in MEMBERS}
    members["first_frame.onnx"] = graph(members["first_frame.onnx"])
    return read_bundle(written(replace(bundle.manifest, **fields), members, bundle.path))


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}
