"""What arithmetic costs an INT8 bundle in each lighting, and whether `canthus verify` notices.

    python benchmarks/int8_everywhere.py eye8.canthus SEE

runs clips of the testing volunteers through the bundle as this machine computes it, and in ways that are faithful,
that processors and runtimes have, or that are broken on purpose. For each: of how many clips, in percent, the answer
changes, in each lighting; by how much an answer's lead moves on the golden windows, and what `verify` says of it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from canthus._native import multiplies_int8_exactly
from canthus.bundle import read_bundle
from canthus.engine import Engine
from canthus.network import open_network
from canthus.operators import library_path
from canthus.runtimes import Network, Runtime, onnxruntime
from canthus.runtimes.onnxruntime import OnnxRuntime
from canthus.verify import Golden, allowed, replay
from canthus_calibration.subsets import Drawn, decode
from canthus_model.see.annotation import TESTING
from canthus_model.see.dataset import open_see
from canthus_model.see.names import LIGHTINGS

BATCH = 16
THREADS = 2
Change = Callable[[onnx.TensorProto], None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path, help="in INT8")
    parser.add_argument("see", type=Path)
    parser.add_argument("--rounds", type=int, default=5, help="clips of each testing sequence (default: 5)")
    arguments = parser.parse_args()
    bundle, see = read_bundle(arguments.bundle), open_see(arguments.see, TESTING)
    golden, limits = Golden.from_bundle(bundle), allowed(bundle.manifest)
    clips = decode(see, [(turn, place) for turn in range(arguments.rounds) for place in range(len(see.sequences))])
    graphs = bundle.graphs()
    right = answers(opened(OnnxRuntime(library_path()), graphs), clips)
    print(
        f"{len(clips)} clips; {'with' if multiplies_int8_exactly() else 'without'} VNNI; allowed {limits.answers:.2g}"
    )
    print(f"{'answers that change, %':<32}{''.join(f'{name:>12}' for name in LIGHTINGS)}{'lead moves':>12}  verify")
    for name, network in ways(graphs).items():
        changed = answers(network, clips) != right
        lost = [100 * changed[clips.lighting == place].mean() for place in range(len(LIGHTINGS))]
        found = replay(Engine(bundle.manifest, network), golden)
        verdict = "FAILED: " + ", ".join(wrong) if (wrong := found.wrong(limits)) else "ok"
        cells = "".join(f"{percent:>12.2f}" for percent in lost)
        print(f"{name:<32}{cells}{found.answers:>12.4f}  {verdict}", flush=True)


def opened(runtime: Runtime, graphs: Mapping[str, bytes]) -> Network:
    return open_network(runtime, graphs, THREADS)


def ways(graphs: Mapping[str, bytes]) -> dict[str, Network]:
    """Networks by what is special about how they are run."""
    found = {
        "as it is": opened(OnnxRuntime(library_path()), graphs),
        "every operator as written": opened(OnnxRuntime(library_path(), as_written=True), graphs),
    }
    told, onnxruntime.multiplies_int8_exactly = onnxruntime.multiplies_int8_exactly, lambda: True
    found["ONNX Runtime left to itself"] = opened(OnnxRuntime(library_path()), graphs)
    onnxruntime.multiplies_int8_exactly = told
    try:
        from canthus.runtimes.openvino import OpenVino

        found["OpenVINO"] = opened(OpenVino(library_path()), graphs)
    except ImportError:
        pass
    for error in (0.001, 0.003, 0.01, 0.03):
        found[f"scales off by {100 * error:g} %"] = broken(graphs, scales_off(error))
    for code in (120, 100, 80):
        found[f"weights clipped at {code}"] = broken(graphs, clipped_at(code))
    return found


def broken(graphs: Mapping[str, bytes], change: Change) -> Network:
    changed = {}
    for part, graph in graphs.items():
        model = onnx.load_from_string(graph)
        for value in model.graph.initializer:
            change(value)
        changed[part] = model.SerializeToString()
    return opened(OnnxRuntime(library_path()), changed)


def scales_off(error: float) -> Change:
    random = np.random.default_rng(0)

    def change(value: onnx.TensorProto) -> None:
        if value.name.endswith("_scale") and value.data_type == onnx.TensorProto.FLOAT:
            off = numpy_helper.to_array(value) * np.float32(1 + error * random.standard_normal())
            value.CopyFrom(numpy_helper.from_array(off, value.name))

    return change


def clipped_at(code: int) -> Change:
    def change(value: onnx.TensorProto) -> None:
        if value.name.endswith("_quantized") and value.data_type == onnx.TensorProto.INT8:
            value.CopyFrom(numpy_helper.from_array(np.clip(numpy_helper.to_array(value), -code, code), value.name))

    return change


def answers(network: Network, clips: Drawn) -> np.ndarray:
    """Places of the labels, (N,)."""
    found = []
    for begin in range(0, len(clips), BATCH):
        frame, event = (images[begin : begin + BATCH] for images in (clips.frame, clips.event))
        first = network.prime(frame[:, 0], event[:, 0])
        found.append(network.react(frame[:, 1], event[:, 1], *first).logits.argmax(1))
    return np.concatenate(found)


if __name__ == "__main__":
    main()
