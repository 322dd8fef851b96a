"""How long a network takes: in PyTorch, in ONNX Runtime with canthus's library and without, and by which operators."""

from __future__ import annotations

import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnxruntime
import torch
from torch import nn

from canthus.operators import library_path
from canthus_exporter.mamba.drop_in import drop_in
from canthus_exporter.mamba.places import Also
from canthus_exporter.mamba.values import copied, tensors_in

_RUNS, _SECONDS = 20, 2.0


@dataclass(frozen=True)
class Speed:
    """Of one call, the quickest of some, in seconds; with as many threads as PyTorch has here.

    Attributes:
        pytorch: with canthus's functions in the place of others'.
        with_library, without: ONNX Runtime's; None where it wasn't asked for.
        shares: by operators, the largest first, their part of the time with the library, 0 to 1.
    """

    pytorch: float
    with_library: float
    without: float | None
    shares: dict[str, float]


def measure(module: nn.Module, args: Sequence[Any], path: Path, also: Also, *, without: bool = True) -> Speed:
    """Of a network, and of the file that was made of it; by function bodies alone if `without`."""
    with drop_in(also), torch.no_grad():
        pytorch = _quickest(lambda: module(*copied(args)))
    feed = [tensor.numpy() for tensor in tensors_in(copied(args))]
    times: list[float | None] = [None, None]
    for place, with_library in enumerate((True, False)[: 1 + without]):
        session = onnxruntime.InferenceSession(path, _options(with_library), providers=["CPUExecutionProvider"])
        named = dict(zip((value.name for value in session.get_inputs()), feed, strict=True))
        times[place] = _quickest(lambda session=session, named=named: session.run(None, named))
        if with_library:
            shares = _shares(path, named)
    assert times[0] is not None
    return Speed(pytorch, times[0], times[1], shares)


def _options(with_library: bool) -> onnxruntime.SessionOptions:
    """As an app has them by default; `open_session`'s are for parts that take turns, and spare memory and threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    if with_library:
        options.register_custom_ops_library(str(library_path()))
    return options


def _shares(path: Path, feed: dict[str, Any]) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        options = _options(True)
        options.enable_profiling, options.profile_file_prefix = True, str(Path(folder, "run"))
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        for _ in range(3):
            session.run(None, feed)
        events = json.loads(Path(session.end_profiling()).read_text())
    spent: dict[str, float] = defaultdict(float)
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            spent[event["args"]["op_name"]] += event["dur"]
    total = sum(spent.values()) or 1.0
    return {name: time / total for name, time in sorted(spent.items(), key=lambda one: -one[1])}


def _quickest(call: Callable[[], Any]) -> float:
    call()
    best, begin = float("inf"), time.perf_counter()
    for _ in range(_RUNS):
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
        if time.perf_counter() - begin > _SECONDS:
            break
    return best
