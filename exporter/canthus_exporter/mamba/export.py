"""A PyTorch network with selective scans in it becomes one ONNX file that runs anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import nn

from canthus.errors import ExportError
from canthus.whole_file import why_unwritable
from canthus_exporter.free_axes import asked, check_free
from canthus_exporter.mamba.answers import answer, answers_in_other_sizes
from canthus_exporter.mamba.drop_in import drop_in
from canthus_exporter.mamba.file import written
from canthus_exporter.mamba.places import Also
from canthus_exporter.mamba.scans import SCANS
from canthus_exporter.mamba.values import bfloat16_error, copied, tensors_in
from canthus_exporter.mamba.verify import verify
from canthus_exporter.trace import trace
from canthus_model.steps import Steps


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        path: the ONNX file.
        inputs, outputs: their names, in order.
        scans: how many `canthus::SelectiveScan` and `canthus::Ssd` nodes are in it; the latter are Mamba-2's.
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
    steps: Steps | None = None,
) -> Exported:
    """Export a network that calls `mamba_ssm`'s functions, or some shaped like them, as one portable ONNX file.

    Every selective scan becomes a `canthus::SelectiveScan` node, Mamba-2's a `canthus::Ssd` node. Both are functions of
    standard operators: any ONNX runtime runs them. Where canthus's library is registered, its kernels do, many times
    faster. The file is written only if ONNX Runtime computes from it what PyTorch does, both ways; and in a second
    size, where axes stay free. Where the network can be run as it is, without canthus's functions in it, it must
    compute the same with them.

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
        steps: says what is being done; nothing does if it is None.

    Raises:
        ExportError: it can't be exported, it computes something else, or the file can't be written.
    """
    path = Path(path)
    _check(module, args, path)
    axes = asked(module, args, dynamic_shapes) if dynamic_shapes else [{} for _ in tensors_in(args)]
    steps = steps or Steps(Console(quiet=True))
    with steps.step("run") as step:
        expected = answer(module, args, also)
        step.result(f"PyTorch computes it here; outputs {', '.join(str(array.shape) for array in expected.outputs)}")
    with steps.step("trace") as step, drop_in(also):
        try:
            model = trace(module, copied(args), input_names, output_names, dynamic_shapes, max_tokens)
        except ExportError as error:
            raise ExportError(f"{path.name}: {error}") from error
        step.result(f"{len(model.graph.node)} nodes, opset {model.opset_import[0].version}")
    inputs, outputs = ([value.name for value in values] for values in (model.graph.input, model.graph.output))
    if len(outputs) != len(expected.outputs):
        returned = len(expected.outputs)
        raise ExportError(f"{path.name}: {returned} tensors are returned and the graph has {len(outputs)} outputs")
    check_free(model, axes)
    scans = sum(node.op_type in SCANS for node in model.graph.node)
    with written(model, path) as partial, steps.step("verify") as step:
        del model
        difference = verify(module, expected, partial, also, max_tokens, tolerance)
        for resized in answers_in_other_sizes(module, args, axes, also) if any(axes) else ():
            other = verify(module, resized, partial, also, max_tokens, tolerance)
            difference = {way: max(value, other[way]) for way, value in difference.items()}
        told = ", ".join(f"{value:.1e} {way}" for way, value in difference.items())
        step.result(f"largest difference from PyTorch, of an output's magnitude: {told}")
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
