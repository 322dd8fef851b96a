"""A PyTorch network with selective scans in it becomes one ONNX file that runs anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from canthus.errors import ExportError
from canthus.operators import library_path
from canthus.runtimes.onnxruntime import open_session
from canthus.whole_file import whole_file
from canthus_exporter.mamba.drop_in import drop_in
from canthus_exporter.trace import trace


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        path: the ONNX file.
        inputs, outputs: their names, in order.
        scans: how many `canthus::SelectiveScan` nodes are in it.
        difference: largest difference of an output from PyTorch's, relative to its largest magnitude, with canthus's
            library and without, by ONNX Runtime alone.
    """

    path: Path
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    scans: int
    difference: dict[str, float]


def export(
    module: nn.Module,
    args: Sequence[Tensor],
    path: Path | str,
    *,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    dynamic_shapes: Any = None,
    max_tokens: int | None = None,
    also: Sequence[str] = (),
    tolerance: float = 1e-4,
) -> Exported:
    """Export a network that calls `mamba_ssm`'s functions, or some shaped like them, as one portable ONNX file.

    Every selective scan becomes a `canthus::SelectiveScan` node, which is a function of standard operators: any ONNX
    runtime runs it. Where canthus's library is registered, its kernel does, many times faster. The file is written only
    if ONNX Runtime computes from it what PyTorch does, both ways.

    Args:
        module: on the CPU, in evaluation mode.
        args: example inputs.
        path: the `.onnx` file to write.
        input_names, output_names: what to call them; PyTorch's names otherwise.
        dynamic_shapes: axes that are to stay free, as `torch.export.export` takes them.
        max_tokens: the most tokens that will ever come, if the axis of the tokens is free.
        also: functions of your own that are called as `selective_scan_fn` is, as "package.module.function".
        tolerance: largest difference allowed, relative to an output's largest magnitude.

    Raises:
        ExportError: it can't be exported, it computes something else, or the file can't be written.
    """
    path = Path(path)
    _check(module, args, path)
    with drop_in(also), torch.inference_mode():
        expected = _arrays(module(*(_copy(args))))
    try:
        with drop_in(also):
            model = trace(module, _copy(args), input_names, output_names, dynamic_shapes, max_tokens)
    except ExportError:
        raise
    except Exception as error:  # PyTorch's have no base of their own
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ExportError(f"{path.name}: PyTorch can't export the network ({reason})") from error
    inputs, outputs = ([value.name for value in values] for values in (model.graph.input, model.graph.output))
    feed = dict(zip(inputs, (array.numpy() for array in _copy(args)), strict=True))
    if len(outputs) != len(expected):
        raise ExportError(f"{path.name}: {len(expected)} tensors are returned and the graph has {len(outputs)} outputs")
    difference = {
        name: _difference(_run(model, path.name, feed, library), expected)
        for name, library in (("with the library", library_path()), ("without", None))
    }
    for name, value in difference.items():
        if not value <= tolerance:
            raise ExportError(
                f"{path.name}: {name}, ONNX Runtime's outputs are up to {value:.3g} of their magnitude away from "
                f"PyTorch's, more than {tolerance:g}; nothing was written"
            )
    _write(path, model)
    scans = sum(node.op_type == "SelectiveScan" for node in model.graph.node)
    return Exported(path, tuple(inputs), tuple(outputs), scans, difference)


def _check(module: nn.Module, args: Sequence[Tensor], path: Path) -> None:
    if not path.parent.is_dir():
        raise ExportError(f"{path}: there is no folder {path.parent}; make it first")
    tensors = [*module.parameters(), *module.buffers(), *args]
    elsewhere = {str(tensor.device) for tensor in tensors} - {"cpu"}
    if elsewhere:
        raise ExportError(f"the network or its inputs are on {', '.join(sorted(elsewhere))}; call .cpu() on them first")
    if module.training:
        raise ExportError("the network is in training mode; call .eval() on it first")


def _copy(args: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Of a streaming network's states, which it replaces in place."""
    return tuple(tensor.detach().clone() for tensor in args)


def _arrays(outputs: Any) -> list[Any]:
    found = [outputs] if isinstance(outputs, Tensor) else outputs
    if not isinstance(found, Iterable) or not all(isinstance(one, Tensor) for one in found):
        raise ExportError("the network must return a tensor or a tuple of tensors")
    return [one.numpy() for one in found]


def _run(model: onnx.ModelProto, name: str, feed: dict[str, Any], library: Path | None) -> list[Any]:
    outputs: list[Any] = open_session(name, model.SerializeToString(), 1, library).run(None, feed)
    return outputs


def _difference(found: list[Any], expected: list[Any]) -> float:
    differences = [
        float(np.abs(one.astype(np.float64) - other).max() / max(float(np.abs(other).max()), 1e-30))
        for one, other in zip(found, expected, strict=True)
        if other.size
    ]
    return max(differences, default=0.0)


def _write(path: Path, model: onnx.ModelProto) -> None:
    try:
        with whole_file(path) as partial:
            partial.write_bytes(model.SerializeToString())
    except OSError as error:
        raise ExportError(f"{path}: can't be written ({error.strerror})") from error
