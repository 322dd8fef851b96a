"""Whether ONNX Runtime computes from a file what PyTorch does: with canthus's library, and alone."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from canthus.errors import EngineError, ExportError
from canthus.operators import library_path
from canthus.runtimes.onnxruntime import first_line, open_session
from canthus_exporter.mamba.answers import Answer, exact
from canthus_exporter.mamba.bodies import TOKENS, difference_of_bodies, free_memory, memory_of_body
from canthus_exporter.mamba.judge import judge
from canthus_exporter.mamba.places import Also
from canthus_exporter.mamba.values import copied, shapes_of, tensors_in


def verify(
    module: nn.Module, expected: Answer, path: Path, also: Also, max_tokens: int | None, tolerance: float
) -> dict[str, float]:
    """The largest differences of outputs "with the library" and "without", as `judge` has them.

    Where memory doesn't do without, function bodies are compared with the kernel each by itself, and a warning says so.

    Raises:
        ExportError: it computes something else, or can't be run.
    """
    args, states = expected.args, expected.states
    truth, difference = exact(module, args, also), {}
    for way, library in (("with the library", library_path()), ("without", None)):
        needed, free = memory_of_body(states), free_memory()
        if library is None and free is not None and needed > free:
            difference[way] = _bodies_apart(path, needed, free, max_tokens, tolerance)
            continue
        what = f"{path.name}: for inputs of {shapes_of(args)}, {way}, ONNX Runtime's outputs are"
        difference[way] = judge(what, _run(path, args, library), expected.outputs, truth, tolerance)
    return difference


def _bodies_apart(path: Path, needed: int, free: int, max_tokens: int | None, tolerance: float) -> float:
    warnings.warn(
        f"{path.name}: for these inputs ONNX Runtime needs {needed / 1e9:.3g} GB without the library, and "
        f"{free / 1e9:.3g} are free: function bodies were compared with the kernel each by itself, at up to {TOKENS} "
        "tokens",
        stacklevel=4,
    )
    found = difference_of_bodies(path, max_tokens)
    if not found <= tolerance:
        raise ExportError(f"{path.name}: a function body is {found:.3g} away from the kernel; nothing was written")
    return found


def _run(path: Path, args: Sequence[Any], library: Path | None) -> list[np.ndarray]:
    try:
        session = open_session(path.name, path, 1, library)
    except EngineError as error:
        raise ExportError(f"{error}; nothing was written") from error
    names = [value.name for value in session.get_inputs()]
    feed = dict(zip(names, (tensor.numpy() for tensor in tensors_in(copied(args))), strict=True))
    try:
        outputs: list[np.ndarray] = session.run(None, feed)
    except Exception as error:  # ONNX Runtime's exceptions share no base but this one
        raise ExportError(
            f"{path.name}: for inputs of {shapes_of(args)}, ONNX Runtime fails in it ({first_line(error)}); nothing "
            "was written"
        ) from error
    return outputs
