"""Two bundles of one network, alternating, in one run: how many times faster the second is.

python benchmarks/two_bundles.py FLOAT32.canthus INT8.canthus
"""

import argparse
import statistics
from pathlib import Path

import numpy as np
from stopwatch import microseconds

import canthus

THREADS = 2
ROUNDS = 60


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", nargs=2, type=Path)
    paths = parser.parse_args().bundles
    engines = [canthus.load(path, threads=THREADS) for path in paths]
    frame, event = np.random.default_rng(0).integers(0, 256, (2, *engines[0].image_size), dtype=np.uint8)
    firsts = [engine.prime(frame, event) for engine in engines]
    times = {(part, place): [] for part in ("prime", "react") for place in range(len(engines))}
    for _ in range(ROUNDS):
        for place, (engine, first) in enumerate(zip(engines, firsts, strict=True)):
            times["prime", place].append(microseconds(engine.prime, frame, event) / 1000)
            times["react", place].append(microseconds(engine.react, frame, event, first) / 1000)
    median = {key: statistics.median(values) for key, values in times.items()}
    print(f"{'':<16}{paths[0].name:>24}{paths[1].name:>24}{'times faster':>14}")
    rows = {part: [median[part, place] for place in range(2)] for part in ("prime", "react")}
    rows["prime + react"] = [sum(both) for both in zip(*rows.values(), strict=True)]
    for name, (one, other) in rows.items():
        print(f"{name:<16}{one:>21.2f} ms{other:>21.2f} ms{one / other:>14.2f}")
    sizes = [path.stat().st_size / 1e6 for path in paths]
    print(f"{'size':<16}{sizes[0]:>21.1f} MB{sizes[1]:>21.1f} MB{sizes[0] / sizes[1]:>14.2f}")


if __name__ == "__main__":
    main()
