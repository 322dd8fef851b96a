"""What INT8 costs, by canthus and by what one would take otherwise, in each lighting.

    python benchmarks/int8_methods.py BUNDLE SEE [INT8_BUNDLE ...]

quantises the encoders of a float32 bundle by the static quantiser of ONNX Runtime, and by NNCF's defaults where that is
installed (`pip install nncf`). All see the same clips as an export does. Beside them are canthus's own with every layer
in INT8, and bundles that canthus has exported from the same checkpoint. It prints, for volunteers of the testing
subset: how many layers are in float, the percent of the answers that stay, and the divergence in the lighting where it
is largest, in bits; of bundles also where no frames come, or no events.

All run as canthus runs them: products of 8 bits are summed in 32, so nothing saturates on any processor.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantType, quantize_static

from canthus.bundle import read_bundle
from canthus.parts import ENCODERS, shown
from canthus_calibration.agreement import compare
from canthus_calibration.layers import find_layers
from canthus_calibration.network import Network, answers_of
from canthus_calibration.subsets import Drawn, balanced, decode
from canthus_calibration.targets import TARGETS
from canthus_model.config import NO_EVENT
from canthus_model.see.annotation import TESTING, TRAINING
from canthus_model.see.dataset import open_see
from canthus_model.see.names import LIGHTINGS

Graphs = Mapping[str, onnx.ModelProto]

PER_LIGHTING = 100  # clips that ranges are taken from


class Clips(CalibrationDataReader):
    """The images that an encoder sees, one by one."""

    def __init__(self, part: str, drawn: Drawn) -> None:
        self._images = iter(shown(part, drawn.frame, drawn.event))

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        image = next(self._images, None)
        return None if image is None else {"image": image[None]}


def by_onnxruntime(graphs: Graphs, drawn: Drawn, method: CalibrationMethod) -> dict[str, onnx.ModelProto]:
    made = dict(graphs)
    with tempfile.TemporaryDirectory() as folder:
        quantised = f"{folder}/quantised.onnx"
        for part in ENCODERS:
            ready = onnx.ModelProto()
            ready.CopyFrom(graphs[part])  # the quantiser changes what it is given
            quantize_static(
                ready,
                quantised,
                Clips(part, drawn),
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                calibrate_method=method,
            )
            made[part] = onnx.load(quantised)
    return made


def by_nncf(nncf: Any, graphs: Graphs, drawn: Drawn) -> dict[str, onnx.ModelProto]:
    made = dict(graphs)
    for part in ENCODERS:
        images = shown(part, drawn.frame, drawn.event)
        data = nncf.Dataset(range(len(images)), lambda place, images=images: {"image": images[place][None]})
        made[part] = nncf.quantize(graphs[part], data, subset_size=len(images))
    return made


def one_missing(clips: Drawn) -> dict[str, Drawn]:
    """As a stream shows them where one modality doesn't come."""
    return {
        "without frames": replace(clips, frame=np.zeros_like(clips.frame)),
        "without events": replace(clips, event=np.full_like(clips.event, NO_EVENT)),
    }


def in_float(graphs: Graphs, quantised: Graphs) -> int:
    """How many of the encoders' layers don't read 8-bit codes."""
    count = 0
    for part in ENCODERS:
        nodes = {node.name: node for node in quantised[part].graph.node}
        codes = {node.output[0] for node in nodes.values() if node.op_type == "DequantizeLinear"}
        for layer in find_layers(part, graphs[part]):
            count += not codes.issuperset(nodes[layer.node].input[: len(layer.inputs)])
    return count


def graphs_of(path: Path) -> dict[str, onnx.ModelProto]:
    return {part: onnx.load_from_string(graph) for part, graph in read_bundle(path).graphs().items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path, help="in float32")
    parser.add_argument("see", type=Path)
    parser.add_argument("int8", type=Path, nargs="*", metavar="INT8_BUNDLE", help="for x86")
    parser.add_argument("--rounds", type=int, default=3, help="clips of each testing sequence (default: 3)")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)  # ONNX Runtime's quantiser advises what was done already
    graphs = graphs_of(arguments.bundle)
    training, testing = open_see(arguments.see, TRAINING), open_see(arguments.see, TESTING)
    drawn = decode(training, [(0, place) for place in balanced(training, PER_LIGHTING)])
    sequences = len(testing.sequences)
    tested = decode(testing, [(turn, place) for turn in range(arguments.rounds) for place in range(sequences)])
    print(f"{len(tested)} clips of {len({name.volunteer for name in tested.names})} testing volunteers")
    heads = "".join(f"{name:>13}" for name in LIGHTINGS)
    print(f"{'same answer, %':<44}{'in float':>9}{heads}{'bits':>10}", flush=True)
    float32 = answers_of(graphs, tested)

    def row(name: str, layers: int, answers: NDArray[np.float32], float32: NDArray[np.float32] = float32) -> None:
        costs = compare(float32, answers, tested)
        cells = "".join(f"{cost.agreement:>13.1f}" for cost in costs.values())
        worst = max(cost.divergence for cost in costs.values())
        print(f"{name:<44}{layers:>9}{cells}{worst:>10.1e}", flush=True)

    for path in arguments.int8:
        int8, calibration = graphs_of(path), read_bundle(path).manifest.calibration
        if calibration is None:
            parser.error(f"{path} isn't in INT8")
        layers = len(calibration.float_layers)
        row(f"canthus, {path.name}", layers, answers_of(int8, tested))
        for name, clips in one_missing(tested).items():
            row(f"  {name}", layers, answers_of(int8, clips), answers_of(graphs, clips))
    network = Network(graphs, TARGETS["x86"])
    int8 = network.quantised(network.observe(drawn, "entropy", lambda done, total: None))
    row("canthus, every layer in INT8", in_float(graphs, int8), answers_of(int8, tested))
    for method in (CalibrationMethod.MinMax, CalibrationMethod.Entropy):
        made = by_onnxruntime(graphs, drawn, method)
        row(f"ONNX Runtime, {method.name}", in_float(graphs, made), answers_of(made, tested))
    try:
        import nncf
    except ImportError:
        print("NNCF isn't installed: pip install nncf")
        return
    made = by_nncf(nncf, graphs, drawn)
    row(f"NNCF {nncf.__version__}, defaults", in_float(graphs, made), answers_of(made, tested))


if __name__ == "__main__":
    main()
