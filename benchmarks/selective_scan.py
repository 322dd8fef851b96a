"""The selective scan on a CPU: canthus's kernel, its peers, and the limit, side by side in one run.

    python benchmarks/selective_scan.py [--plot scan.svg]

Times are the best of several calls that take turns. Peers: the loop over tokens in PyTorch, mambapy's parallel scan
(where mambapy is installed: pip install mambapy), ONNX's Scan, ONNX's LinearAttention (gated), and the portable body
of the operator, the last three in ONNX Runtime. The limit is what the exponentials alone take, one of each state of
each token, and what it takes to read the inputs and write the result once.
"""

from __future__ import annotations

import argparse
import ctypes
import math
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scan_peers
from scan_peers import Call, Inputs, make_inputs

PEERS = {
    "PyTorch loop": scan_peers.loop,
    "mambapy": scan_peers.mambapy,
    "ONNX Scan": scan_peers.onnx_scan,
    "LinearAttention": scan_peers.linear_attention,
    "portable body": scan_peers.body,
}
SHAPES = {  # batch, channels, tokens, states
    "MCO-E Net's scan": (1, 8, 500, 16),
    "vision Mamba, small": (1, 384, 196, 16),
    "vision Mamba, large": (8, 1536, 1024, 16),
}
LARGE = 1 << 26  # states of tokens from which on the loop and the bodies would take memory and minutes
FLAGS = ("-O3", "-march=native", "-std=c++20", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw cost against tokens and channels (SVG or PNG)")
    arguments = parser.parse_args()
    exponential = seconds_of_an_exponential()
    print(f"one exponential, one thread: {exponential * 1e12:.0f} ps")
    for title, shape in SHAPES.items():
        for threads in (1, 2):
            show(title, shape, threads, exponential)
    if arguments.plot:
        plot(arguments.plot, exponential)
        print(f"{arguments.plot}: cost against tokens and channels")


def show(title: str, shape: tuple[int, int, int, int], threads: int, exponential: float) -> None:
    inputs = make_inputs(*shape)
    times = measure(inputs, threads)
    own = times.pop("canthus")
    count = math.prod(shape)
    limits = {
        "the exponentials alone": count * exponential / threads,
        "the bytes alone": seconds_of_bytes(inputs),
    }
    print(f"\n{title}, {'x'.join(map(str, shape))}, threads: {threads}\n  {'canthus':<24}{own * 1e6:>12,.0f} us")
    for name, seconds in times.items():
        print(f"  {name:<24}{seconds * 1e6:>12,.0f} us{seconds / own:>10.1f} times canthus's")
    for name, seconds in limits.items():
        print(f"  {name:<24}{seconds * 1e6:>12,.0f} us{own / seconds:>10.2f} times that is canthus's", flush=True)


def measure(inputs: Inputs, threads: int) -> dict[str, float]:
    """Seconds by name; those that don't take such inputs, or so many, are left out."""
    calls: dict[str, Call] = {"canthus": scan_peers.kernel(inputs, threads)}
    if inputs["u"].size * inputs["A"].shape[1] < LARGE:
        for name, make in PEERS.items():
            call = make(inputs, threads)
            if call:
                calls[name] = call
    else:
        calls["LinearAttention"] = scan_peers.linear_attention(inputs, threads)  # type: ignore[assignment]
    return {name: best(call) for name, call in calls.items()}


def best(call: Call, seconds: float = 1.0) -> float:
    """The seconds of the fastest call, of as many as there is time for and of three at least."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def seconds_of_an_exponential() -> float:
    source = Path(__file__).with_suffix("").with_name("exponentials.cpp")
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "exponentials.so"
        include = source.parent.parent / "csrc"
        command = ["c++", *FLAGS, "-shared", "-fPIC", f"-I{include}", str(source), "-o", str(library)]
        subprocess.run(command, check=True)
        function = ctypes.CDLL(str(library)).exponentials
    function.restype, function.argtypes = ctypes.c_float, [ctypes.c_long]
    count = 1 << 20
    return best(lambda: function(count)) / count


def seconds_of_bytes(inputs: Inputs) -> float:
    """What it takes to copy as much as the scan reads and writes."""
    half = np.zeros(sum(array.nbytes for array in (*inputs.values(), inputs["u"])) // 2, np.uint8)
    to = np.empty_like(half)
    return best(lambda: np.copyto(to, half))


def plot(file: Path, exponential: float) -> None:
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    def draw(axes: plt.Axes, label: str, sizes: list[int], shape: Callable[[int], tuple[int, int, int, int]]) -> None:
        found: dict[str, list[float]] = {}
        for size in sizes:
            for name, seconds in measure(make_inputs(*shape(size)), threads=1).items():
                found.setdefault(name, []).append(seconds * 1e3)
        for name, values in found.items():
            axes.plot(sizes, values, marker="o", markersize=3, linewidth=2.5 if name == "canthus" else 1.2, label=name)
        limit = [math.prod(shape(size)) * exponential * 1e3 for size in sizes]
        axes.plot(sizes, limit, "k:", label="the exponentials alone")
        axes.set(xscale="log", yscale="log", xlabel=label, ylabel="ms, one thread")
        axes.grid(alpha=0.3)

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
    draw(left, "tokens, of 64 channels, 16 states", [16, 64, 256, 1024, 4096], lambda size: (1, 64, size, 16))
    draw(right, "channels, of 196 tokens, 16 states", [8, 32, 128, 384, 1536], lambda size: (1, size, 196, 16))
    left.legend(fontsize=8)
    figure.savefig(file)


if __name__ == "__main__":
    main()
