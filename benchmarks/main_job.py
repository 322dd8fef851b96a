"""A bundle's prime and react against what one would do without canthus, alternating, in one run.

    python benchmarks/main_job.py CHECKPOINT.pth BUNDLE.canthus

Without canthus there is the unfolded network in eager PyTorch, with the selective scan as a loop or by canthus's
kernel; the network as OpenVINO converts it; and that in INT8 by NNCF's defaults, where NNCF is installed
(`pip install nncf`). Each of these sees both moments at once, and so does all the work for every frame.
"""

import argparse
import statistics
import time
from functools import partial

import numpy as np
import openvino
import torch
from stopwatch import microseconds

import canthus
from canthus_model import mamba
from canthus_model.checkpoint import load_network
from canthus_model.selective_scan import selective_scan
from canthus_model.selective_scan_doubling import selective_scan_doubling
from canthus_model.selective_scan_reference import selective_scan_reference

THREADS = 2
ROUNDS = 30


def eager(network, scan, frame, event):
    """The unfolded network with one of the two selective scans in it."""

    def run():
        mamba.scan_for = lambda device: scan
        with torch.inference_mode():
            network(frame, event)

    return run


def converted(network, images):
    """The network as OpenVINO traces it, and in INT8 if NNCF is there: for speed alone, by ranges of noise."""
    # A loop over tokens would be unrolled.
    mamba.scan_for = lambda device: lambda *tensors, **options: selective_scan_doubling(*tensors, **options)[0]
    models = {"OpenVINO": openvino.convert_model(network, example_input=images)}
    try:
        import nncf

        models["OpenVINO, INT8 by NNCF"] = nncf.quantize(models["OpenVINO"], nncf.Dataset([images] * 2))
    except ImportError:
        print("NNCF isn't installed: pip install nncf")
    settings = {"INFERENCE_NUM_THREADS": THREADS, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    compiled = {}
    for name, model in models.items():
        try:
            compiled[name] = openvino.compile_model(model, "CPU", settings)
        except RuntimeError as error:  # whatever OpenVINO can't do
            print(f"{name}: can't be compiled: {str(error).strip().splitlines()[-1]}")
    return compiled


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("bundle")
    arguments = parser.parse_args()
    torch.set_num_threads(THREADS)
    network = load_network(arguments.checkpoint)
    engine = canthus.load(arguments.bundle, threads=THREADS)
    frame, event = np.random.default_rng(0).integers(0, 256, (2, 1, 2, *engine.image_size), dtype=np.uint8)
    first = engine.prime(frame[:, 0], event[:, 0])
    images = torch.from_numpy(frame), torch.from_numpy(event)
    given = [image.numpy() for image in images]
    others = converted(network.eval(), images)
    runs = {
        "eager, scan in PyTorch": eager(network, selective_scan_reference, *images),
        "eager, scan by canthus": eager(network, selective_scan, *images),
        **{name: partial(model, given) for name, model in others.items()},
        "prime": lambda: engine.prime(frame[:, 0], event[:, 0]),
        "react": lambda: engine.react(frame[:, 1], event[:, 1], first),
    }
    times = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, run in runs.items():
            time.sleep(0.05)  # OpenMP's threads spin for a while after PyTorch's work
            run()  # each is measured warm, whoever ran before it
            times[name].append(microseconds(run) / 1000)
    median = {name: statistics.median(values) for name, values in times.items()}
    for name, value in median.items():
        print(f"{name:<24} {value:8.2f} ms")
    both = median["prime"] + median["react"]
    for name in [name for name in runs if name not in ("prime", "react")]:
        print(f"{name + ' / (prime + react)':<44}{median[name] / both:6.2f}")
    print(f"{'react / (prime + react)':<44}{median['react'] / both:6.2f}")


if __name__ == "__main__":
    main()
