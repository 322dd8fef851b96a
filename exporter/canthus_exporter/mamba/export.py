"""A PyTorch network with selective scans in it becomes one ONNX file that runs anywhere."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from canthus.errors import EngineError, ExportError
from canthus.operators import library_path
from canthus.runtimes.onnxruntime import first_line, open_session
from canthus.whole_file import why_unwritable
from canthus_exporter.cause import explain
from canthus_exporter.free_axes import Axes, asked, check_free, other_sizes
from canthus_exporter.mamba.bodies import TOKENS, difference_of_bodies, free_memory, memory_of_body
from canthus_exporter.mamba.drop_in import drop_in
from canthus_exporter.mamba.file import written
from canthus_exporter.mamba.float64 import in_float64
from canthus_exporter.mamba.judge import Arrays, judge
from canthus_exporter.mamba.places import Also
from canthus_exporter.mamba.values import bfloat16_error, copied, outputs_of, tensors_in
from canthus_exporter.mamba.watch import Watch
from canthus_exporter.trace import trace

_SAME = 1e-4
"""Of a network's outputs that differ by rounding only, relative to their largest magnitude."""


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        path: the ONNX file.
        inputs, outputs: their names, in order.
        scans: how many `canthus::SelectiveScan` nodes are in it.
        difference: largest difference of an output from PyTorch's, relative to its largest magnitude, with canthus's
            library and without, by ONNX Runtime alone. Where that needs more memory than there is, "without" is how far
            a function body is from the kernel, and a warning says so.
    """

    path: Path
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    scans: int
    difference: dict[str, float]


def export(
    module: nn.Module,
    args: Sequence[Any],
    path: Path | str,
    *,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    dynamic_shapes: Any = None,
    max_tokens: int | None = None,
    also: Also = (),
    tolerance: float = 1e-4,
) -> Exported:
    """Export a network that calls `mamba_ssm`'s functions, or some shaped like them, as one portable ONNX file.

    Every selective scan becomes a `canthus::SelectiveScan` node, which is a function of standard operators: any ONNX
    runtime runs it. Where canthus's library is registered, its kernel does, many times faster. The file is written only
    if ONNX Runtime computes from it what PyTorch does, both ways; and in a second size, where axes stay free. Where the
    network can be run as it is, without canthus's functions in it, it must compute the same with them.

    Weights of more than 2 GB go into a file beside, with `.data` behind its name.

    Args:
        module: on the CPU, in evaluation mode. It returns tensors, nested in sequences and mappings, None among them.
        args: example inputs: tensors, nested likewise; what isn't a tensor is fixed in the file.
        path: the `.onnx` file to write.
        input_names, output_names: what to call them; PyTorch's names otherwise.
        dynamic_shapes: axes that are to stay free, as `torch.export.export` takes them.
        max_tokens: the most tokens that will ever come, if the axis of the tokens is free.
        also: scans of your own, as `drop_in` takes them.
        tolerance: largest difference from PyTorch allowed, relative to an output's largest magnitude. A larger one is
            allowed if the file is at most twice as far from float64 as PyTorch itself is.

    Raises:
        ExportError: it can't be exported, it computes something else, or the file can't be written.
    """
    path = Path(path)
    _check(module, args, path)
    axes = asked(module, args, dynamic_shapes) if dynamic_shapes else [{} for _ in tensors_in(args)]
    expected, states = _answers(module, args, also)
    with drop_in(also):
        try:
            model = trace(module, copied(args), input_names, output_names, dynamic_shapes, max_tokens)
        except ExportError as error:
            raise ExportError(f"{path.name}: {error}") from error
    inputs, outputs = ([value.name for value in values] for values in (model.graph.input, model.graph.output))
    if len(outputs) != len(expected):
        raise ExportError(f"{path.name}: {len(expected)} tensors are returned and the graph has {len(outputs)} outputs")
    check_free(model, axes)
    scans = sum(node.op_type == "SelectiveScan" for node in model.graph.node)
    with written(model, path) as partial:
        del model
        difference = _verify(module, args, expected, states, partial, also, max_tokens, tolerance)
        for resized, expected, states in _in_other_sizes(module, args, axes, also) if any(axes) else ():
            other = _verify(module, resized, expected, states, partial, also, max_tokens, tolerance)
            difference = {way: max(value, other[way]) for way, value in difference.items()}
    return Exported(path, tuple(inputs), tuple(outputs), scans, difference)


def _check(module: nn.Module, args: Sequence[Any], path: Path) -> None:
    if not path.parent.is_dir():
        raise ExportError(f"{path}: there is no folder {path.parent}; make it first")
    if why := why_unwritable(path):
        raise ExportError(f"{path}: {why}")
    tensors = [*module.parameters(), *module.buffers(), *tensors_in(args)]
    elsewhere = {str(tensor.device) for tensor in tensors} - {"cpu"}
    if elsewhere:
        raise ExportError(f"the network or its inputs are on {', '.join(sorted(elsewhere))}; call .cpu() on them first")
    if any(tensor.dtype == torch.bfloat16 for tensor in tensors):
        raise bfloat16_error("its parameters or inputs")
    if module.training:
        raise ExportError("the network is in training mode; call .eval() on it first")


def _answers(module: nn.Module, args: Sequence[Any], also: Also) -> tuple[Arrays, int]:
    """What PyTorch computes with canthus's functions: what it computes without, where it can. And the most states."""
    try:
        with torch.inference_mode():
            by_itself = outputs_of(module(*copied(args)))
    except Exception:  # it has functions for a GPU; if it has another fault, the next try will tell
        by_itself = None
    watch = Watch()
    try:
        with drop_in(also), torch.inference_mode(), watch:
            returned = module(*copied(args))
    except ExportError:
        raise
    except Exception as error:  # anything may be wrong with a network
        raise ExportError(
            f"PyTorch can't run the network on a CPU: {explain(error)}; if that is in a scan of its own, name its "
            "function: also=['package.module.function']"
        ) from error
    expected = outputs_of(returned)
    if watch.loop and not watch.scans:
        where, steps = watch.loop
        raise ExportError(
            f"no selective scan was found, and {steps} tokens are taken one by one ({where}): each would be written "
            "down by itself. If that is the scan, name its function: also=['package.module.function']"
        )
    if by_itself is not None:
        what = "with canthus's functions in the place of the network's own, its outputs are"
        judge(what, expected, by_itself, _float64(module, args), _SAME)
    return expected, watch.most_states


def _float64(module: nn.Module, args: Sequence[Any], also: Also | None = None) -> Callable[[], Arrays | None]:
    """What the network computes in float64, with canthus's functions if `also` isn't None; once, when it is asked."""

    @functools.cache
    def compute() -> Arrays | None:
        if also is None:
            returned = in_float64(module, copied(args))
        else:
            with drop_in(also):
                returned = in_float64(module, copied(args))
        return None if returned is None else outputs_of(returned)

    return compute


def _verify(
    module: nn.Module,
    args: Sequence[Any],
    expected: Arrays,
    states: int,
    path: Path,
    also: Also,
    max_tokens: int | None,
    tolerance: float,
) -> dict[str, float]:
    truth, difference = _float64(module, args, also), {}
    for way, library in (("with the library", library_path()), ("without", None)):
        needed, free = memory_of_body(states), free_memory()
        if library is None and free is not None and needed > free:
            difference[way] = _bodies_apart(path, needed, free, max_tokens, tolerance)
            continue
        what = f"{path.name}: for inputs of {_shapes(args)}, {way}, ONNX Runtime's outputs are"
        difference[way] = judge(what, _run(path, args, library), expected, truth, tolerance)
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
            f"{path.name}: ONNX Runtime fails in it ({first_line(error)}); nothing was written"
        ) from error
    return outputs


def _in_other_sizes(module: nn.Module, args: Sequence[Any], axes: Axes, also: Also) -> list[tuple[Any, Arrays, int]]:
    """Inputs of another size along free axes, and of the smallest, that PyTorch takes; its answers; the most states.

    Raises:
        ExportError: it takes none.
    """
    *others, smallest = other_sizes(list(args), axes)
    reason, found = "no other size is allowed", []
    for resized in [*others, smallest]:
        if found and resized is not smallest:
            continue
        try:
            with drop_in(also), torch.inference_mode(), Watch() as watch:
                found.append((resized, outputs_of(module(*copied(resized))), watch.most_states))
        except Exception as error:  # any that a network may raise
            reason = f"inputs of {_shapes(resized)}: {explain(error)}"
    if not found:
        raise ExportError(
            f"axes are to stay free, and PyTorch runs the network in no other size ({reason}); leave them out of "
            "dynamic_shapes"
        )
    return found


def _shapes(args: Any) -> str:
    return ", ".join(str(tuple(tensor.shape)) for tensor in tensors_in(args))
