"""The unfolded network in eager PyTorch against a bundle's prime and react, alternating, in one run.

python benchmarks/main_job.py CHECKPOINT.pth BUNDLE.canthus
"""

import argparse
import statistics
import time

import numpy as np
import torch
from stopwatch import microseconds

import canthus
from canthus_model import mamba
from canthus_model.checkpoint import load_network
from canthus_model.selective_scan import selective_scan
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
    runs = {
        "eager, scan in PyTorch": eager(network, selective_scan_reference, *images),
        "eager, scan by canthus": eager(network, selective_scan, *images),
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
    print(f"eager, scan in PyTorch / (prime + react)  {median['eager, scan in PyTorch'] / both:6.2f}")
    print(f"eager, scan by canthus / (prime + react)  {median['eager, scan by canthus'] / both:6.2f}")
    print(f"react / (prime + react)                   {median['react'] / both:6.2f}")


if __name__ == "__main__":
    main()
