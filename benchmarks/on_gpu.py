"""The selective scan and a whole bundle on an NVIDIA GPU, beside what else there is, and beside its limits.

    python benchmarks/on_gpu.py [BUNDLE.canthus] [--device cpu]

The scan, for each shape and data type: canthus's kernel, mamba_ssm's where it is installed, PyTorch's own operations,
a copy of as many bytes as it must read and write, and an exponential for each state of each token. Then prime and react
of the bundle by each backend that runs here; for the number of launches, run that under `nsys profile --stats=true`.
Times are medians. --device cpu tries the script out where there is no GPU.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

import canthus
from canthus.backends import BACKENDS
from canthus_model.selective_scan import selective_scan
from canthus_model.selective_scan_doubling import selective_scan_doubling

SHAPES = {  # batch, channels, tokens, states
    "MCO-E Net's scan": (1, 32, 500, 16),
    "vision Mamba, small": (1, 384, 196, 16),
    "vision Mamba, large": (8, 1536, 1024, 16),
    "language Mamba": (1, 5120, 2048, 16),
}
ROUNDS = 50
MOST_ON_CPU = 1 << 24  # states of tokens; more would take minutes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", nargs="?")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    arguments = parser.parse_args()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        parser.exit(2, "this PyTorch sees no GPU; --device cpu tries the script out\n")
    for title, shape in SHAPES.items():
        if arguments.device == "cuda" or np.prod(shape) < MOST_ON_CPU:
            show_scan(title, shape, torch.device(arguments.device))
    if arguments.bundle:
        show_bundle(arguments.bundle)


def show_scan(title: str, shape: tuple[int, int, int, int], device: torch.device) -> None:
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        inputs = make_inputs(*shape, dtype, device)
        expected, _ = selective_scan_doubling(**{k: v.float() for k, v in inputs.items()}, delta_softplus=True)
        own = selective_scan(**inputs, delta_softplus=True)
        error = ((own.float() - expected).abs().max() / expected.abs().max()).item()
        times = {name: median_seconds(call, device) for name, call in calls(inputs)}
        reference = times.pop("canthus")
        name = str(dtype).removeprefix("torch.")
        print(f"\n{title}, {'x'.join(map(str, shape))}, {name}; relative error {error:.1e}")
        print(f"  {'canthus':<28}{reference * 1e6:>12,.1f} us")
        for other, seconds in times.items():
            print(f"  {other:<28}{seconds * 1e6:>12,.1f} us{seconds / reference:>10.2f} times canthus's", flush=True)


def make_inputs(
    batch: int, channels: int, tokens: int, states: int, dtype: torch.dtype, device: torch.device
) -> dict[str, Tensor]:
    torch.manual_seed(0)

    def normal(*shape: int, dtype: torch.dtype = dtype) -> Tensor:
        return torch.randn(*shape, device=device, dtype=torch.float32).to(dtype)

    return {
        "u": normal(batch, channels, tokens),
        "delta": normal(batch, channels, tokens),
        "A": -torch.exp(normal(channels, states, dtype=torch.float32)),
        "B": normal(batch, 1, states, tokens),
        "C": normal(batch, 1, states, tokens),
        "D": normal(channels, dtype=torch.float32),
        "z": normal(batch, channels, tokens),
        "delta_bias": normal(channels, dtype=torch.float32) - 2,
    }


def calls(inputs: dict[str, Tensor]) -> Iterator[tuple[str, Callable[[], object]]]:
    yield "canthus", lambda: selective_scan(**inputs, delta_softplus=True)
    try:
        from mamba_ssm.ops.selective_scan_interface import selective_scan_fn
    except ImportError:
        print("mamba_ssm is not installed")
    else:
        yield "mamba_ssm", lambda: selective_scan_fn(**inputs, delta_softplus=True)
    yield "PyTorch's operations", lambda: selective_scan_doubling(**inputs, delta_softplus=True)
    # u, delta, z and y; a copy reads and writes.
    half = torch.empty(2 * inputs["u"].numel(), dtype=inputs["u"].dtype, device=inputs["u"].device)
    copy = torch.empty_like(half)
    yield "a copy of its bytes", lambda: copy.copy_(half)
    steps = torch.zeros(inputs["u"].numel(), device=half.device)
    states = inputs["A"].shape[1]
    yield f"exponentials, {states} each", _exponentials(steps, states)


def _exponentials(steps: Tensor, states: int) -> Callable[[], object]:
    """In one kernel, so that only they count; torch.compile has none ready before the first call."""

    def sum_of(x: Tensor) -> Tensor:
        total = torch.zeros_like(x)
        for state in range(states):
            total = total + torch.exp2(x * (state + 1))
        return total

    compiled = torch.compile(sum_of) if steps.device.type == "cuda" else sum_of
    return lambda: compiled(steps)


def median_seconds(call: Callable[[], object], device: torch.device) -> float:
    """Of a call alone, when many before it have run."""
    for _ in range(3):
        call()
    if device.type == "cpu":
        times = []
        for _ in range(5):
            start = time.perf_counter()
            call()
            times.append(time.perf_counter() - start)
        return statistics.median(times)
    events = [torch.cuda.Event(enable_timing=True) for _ in range(ROUNDS + 1)]
    events[0].record()
    for event in events[1:]:
        call()
        event.record()
    torch.cuda.synchronize()
    return statistics.median(a.elapsed_time(b) for a, b in itertools.pairwise(events)) / 1e3


def show_bundle(path: str) -> None:
    print()
    for backend in BACKENDS[1:]:
        try:
            engine = canthus.load(path, backend)
        except canthus.Error as error:
            print(f"{backend}: {error}")
            continue
        frame, event = np.random.default_rng(0).integers(0, 256, (2, *engine.image_size), np.uint8)
        first = engine.prime(frame, event)
        stages = {"prime": lambda: engine.prime(frame, event), "react": lambda: engine.react(frame, event, first)}  # noqa: B023
        for name, call in stages.items():
            times = []
            for _ in range(ROUNDS):
                start = time.perf_counter()
                call()
                times.append(1000 * (time.perf_counter() - start))
            print(f"{backend}: {name} {statistics.median(times):.2f} ms, slowest {max(times):.2f}", flush=True)


if __name__ == "__main__":
    main()
