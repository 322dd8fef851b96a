"""What several tests of TensorRT share."""

import hashlib
from dataclasses import replace

from canthus.bundle import read_bundle, write_bundle
from canthus.device.gpu import Gpu
from canthus.manifest import MEMBERS

A_GPU = Gpu("NVIDIA GeForce RTX 3060", (8, 6), 12 << 30, 28, False, "GPU-1", "13.0", None)


def no_report(*_at):
    pass


def changed(bundle, graph=lambda content: content, **fields):
    """The bundle again, with another `prime.onnx` or another manifest."""
    members = {name: bundle.read(name) for name in MEMBERS}
    members["prime.onnx"] = graph(members["prime.onnx"])
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in members.items()}
    write_bundle(bundle.path, replace(bundle.manifest, sha256=hashes, **fields), members)
    return read_bundle(bundle.path)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}
