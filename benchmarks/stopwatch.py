"""What the benchmarks of single kernels share: one core, and the time of one call."""

import os
import time


def keep_to_one_core() -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def microseconds(call, *arguments) -> float:
    """How long one call takes."""
    start = time.perf_counter_ns()
    call(*arguments)
    return (time.perf_counter_ns() - start) / 1000


def best(call, repeats: int = 5) -> float:
    """The seconds of the fastest of so many calls."""
    return min(microseconds(call) for _ in range(repeats)) * 1e-6
