"""An INT8 bundle made in seconds: every layer of a float32 bundle in INT8, its ranges from the golden windows."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx

from bundles import written
from canthus.bundle import Bundle
from canthus.calibration import Calibration
from canthus.engine import Engine
from canthus.parts import member
from canthus.verify import Golden, answered
from canthus_calibration.network import Network
from canthus_calibration.subsets import Drawn
from canthus_calibration.targets import TARGETS
from canthus_exporter.exact_runtime import exact_runtime

ALLOWED = 0.1
"""What its answers' leads may move: three times what faithful ways to compute it differ by.

Its weights are random, and all layers in INT8: rounding is louder in it than in a trained network's bundle.
"""


def make_int8(bundle: Bundle, path: Path, target: str = "x86", *, narrow: bool = False) -> Path:
    """Write it to `path`; `narrow` gives all weights 7 bits."""
    golden = Golden.from_bundle(bundle)
    network = Network({part: onnx.load_from_string(g) for part, g in bundle.graphs().items()}, TARGETS[target])
    network.narrow = network.layers if narrow else []
    count = len(golden.frame)
    drawn = Drawn(golden.frame, golden.event, np.arange(count) % 4, np.zeros(count, np.int64), (), "")
    graphs = network.quantised(network.observe(drawn, "minmax", lambda done, total: None))
    exact = Engine(bundle.manifest, exact_runtime(graphs))
    calibration = Calibration("minmax", {}, "", len(network.layers), {}, (), {})
    manifest = replace(
        bundle.manifest,
        precision="int8",
        target=target,
        calibration=calibration,
        parity={**bundle.manifest.parity, "tolerance": ALLOWED, "tolerance of features": ALLOWED},
    )
    members = {member(part): graph.SerializeToString() for part, graph in graphs.items()}
    members["golden.npz"] = answered(exact, golden).to_bytes()
    return written(manifest, members, path)
