"""Where the time of the network's parts goes, by ONNX Runtime's own profile.

    python benchmarks/stages.py BUNDLE.canthus

prints, for each part and number of threads, the median of many runs: of the whole, and of each kind of work in it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import onnxruntime

from canthus.bundle import read_bundle
from canthus.operators import library_path

RUNS = 60
STAGES = {
    "QLinearConv": "convolutions in INT8",
    "Conv": "convolutions in float",
    "FusedConv": "convolutions in float",
    "QGemm": "encoders' last layers",
    "Gemm": "encoders' last layers",
    "McoMamba": "head: McoMamba",
    "Mcib": "head: Mcib",
    "RoutedExperts": "head: RoutedExperts",
    "Softmax": "head: softmax",
}
OTHER = "sums, pooling, rounding, layout"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    bundle = read_bundle(parser.parse_args().bundle)
    for part, graph in bundle.graphs().items():
        for threads in (1, 2):
            whole, stages = measure(graph, bundle.manifest.image_size, threads)
            print(f"\n{part}, threads: {threads}{whole:>36.2f} ms")
            for name, value in sorted(stages.items(), key=lambda item: -item[1]):
                print(f"  {name:<40}{value:>8.2f} ms{100 * value / whole:>7.1f} %")


def measure(graph: bytes, image_size: tuple[int, int], threads: int) -> tuple[float, dict[str, float]]:
    """Milliseconds of the whole, unprofiled, and of each stage."""
    plain = open_session(graph, threads)
    feed = inputs_of(plain, image_size)
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        plain.run(None, feed)
        times.append((time.perf_counter() - start) * 1e3)
    with tempfile.TemporaryDirectory() as folder:
        profiled = open_session(graph, threads, Path(folder) / "profile")
        for _ in range(RUNS):
            profiled.run(None, feed)
        events = json.loads(Path(profiled.end_profiling()).read_text())
    kernels: dict[tuple[str, str], list[float]] = defaultdict(list)
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            kernels[event["args"]["op_name"], event["name"]].append(event["dur"] / 1e3)
    stages: dict[str, float] = defaultdict(float)
    for (operator, _), durations in kernels.items():
        stages[STAGES.get(operator, OTHER)] += statistics.median(durations)
    return statistics.median(times), stages


def open_session(graph: bytes, threads: int, profile: Path | None = None) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.register_custom_ops_library(str(library_path()))
    if profile:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile)
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def inputs_of(session: onnxruntime.InferenceSession, image_size: tuple[int, int]) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    if session.get_inputs()[0].name == "image":
        return {"image": random.integers(0, 256, (1, *image_size), np.uint8)}
    return {one.name: random.standard_normal((1, one.shape[1])).astype(np.float32) for one in session.get_inputs()}


if __name__ == "__main__":
    main()
