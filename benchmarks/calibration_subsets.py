"""Do the lighting subsets matter? INT8 calibrated in one light, or in all four, and looked at in each.

    python benchmarks/calibration_subsets.py BUNDLE SEE

takes the graphs of a float32 bundle, quantises every layer (none is kept in float) with ranges from as many clips of
`normal` alone, of Low alone, and of all four lightings, and prints what each costs in each lighting, on volunteers of
the testing subset.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import onnx

from canthus.bundle import read_bundle
from canthus_calibration.agreement import compare
from canthus_calibration.network import Network, answers_of
from canthus_calibration.ranges import ESTIMATORS
from canthus_calibration.subsets import balanced, decode
from canthus_calibration.targets import TARGETS
from canthus_model.see.annotation import TESTING, TRAINING
from canthus_model.see.dataset import open_see
from canthus_model.see.names import LIGHTINGS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path, help="in float32")
    parser.add_argument("see", type=Path)
    parser.add_argument("--clips", type=int, default=200, help="that each calibration sees (default: 200)")
    parser.add_argument("--target", choices=TARGETS, default="x86")
    arguments = parser.parse_args()
    bundle = read_bundle(arguments.bundle)
    graphs = {part: onnx.load_from_string(graph) for part, graph in bundle.graphs().items()}
    training, testing = open_see(arguments.see, TRAINING), open_see(arguments.see, TESTING)
    network = Network(graphs, TARGETS[arguments.target])
    tested = decode(testing, [(turn, place) for turn in range(3) for place in range(len(testing.sequences))])
    float32 = answers_of(graphs, tested)
    choices = {"normal alone": ("normal",), "Low alone": ("Low",), "all four": LIGHTINGS}
    heads = "".join(f"{name:>24}" for name in LIGHTINGS)
    print(f"{'same answer; divergence in bits':<34}{heads}")
    for estimator in ESTIMATORS:
        for name, lightings in choices.items():
            each = arguments.clips // len(lightings)
            places = balanced(training, each)
            kept = [place for place in places if training.sequences[place].lighting in lightings]
            drawn = decode(training, [(0, place) for place in kept])
            ranges = network.observe(drawn, estimator, lambda done, total: None)
            int8 = network.quantised(ranges)
            costs = compare(float32, answers_of(int8, tested), tested)
            cells = "".join(f"{f'{c.agreement:.1f} %  {c.divergence:.1e}':>24}" for c in costs.values())
            print(f"{f'{name}, {estimator}':<34}{cells}", flush=True)


if __name__ == "__main__":
    main()
