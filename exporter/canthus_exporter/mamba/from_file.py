"""What `canthus mamba` does: loads somebody's network from their code, exports it, and says what came of it."""

from __future__ import annotations

import importlib.util
import pickle
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from canthus.errors import ExportError
from canthus_exporter.cause import explain
from canthus_exporter.mamba.drop_in import drop_in
from canthus_exporter.mamba.export import export
from canthus_exporter.mamba.free import Free
from canthus_exporter.mamba.speed import Speed, measure
from canthus_exporter.mamba.values import shapes_of, tensors_in
from canthus_model.steps import Steps

_STATES = ("state_dict", "model", "model_state_dict", "net")
"""What people call a network's state in what they save."""
_SHARE = 0.03  # of the time, below which an operator isn't told of
_SLOW = {
    "Einsum": "an einsum that is no product of two matrices; said by torch.matmul it is several times quicker",
    "Loop": "a loop, step by step",
    "NonZero": "an index by a mask; torch.where keeps sizes fixed",
    "ScatterND": "an assignment to a part of a tensor; torch.cat or torch.where is quicker",
    "GatherND": "an index by tensors; index_select is quicker",
}
"""By operators that take long, what a network's code has that is written so."""


def export_from_file(
    file: Path,
    function: str,
    output: Path,
    *,
    weights: Path | None,
    free: Sequence[Free],
    also: Sequence[str],
    tolerance: float,
) -> None:
    """Export what a function in a file returns: a network, and its inputs. Says each step.

    Raises:
        ExportError: there is no such function, it or the network can't be run, or as `export`.
    """
    steps = Steps()
    with steps.step("load") as step:
        network, inputs = _built(file, function)
        if weights is not None:
            _load(network, weights)
        network = network.cpu().eval()
        parameters = sum(parameter.numel() for parameter in network.parameters())
        step.result(f"{file.name}:{function}: {_count(parameters)} parameters; inputs of {shapes_of(inputs)}")
    axes, most = _axes(free, inputs)
    exported = export(
        network,
        inputs,
        output,
        dynamic_shapes=axes,
        max_tokens=most,
        also=also,
        tolerance=tolerance,
        steps=steps,
    )
    for text in _scans(output):
        steps.note(text)
    if not exported.scans:
        steps.warn("there is no scan in the network; if it has one of its own, name its function with --also")
    with steps.step("time") as step:
        speed = measure(network, inputs, output, also)
        step.result(_told(speed))
    for operator, what in _SLOW.items():
        if speed.shares.get(operator, 0) > _SHARE:
            steps.note(f"{operator} takes {speed.shares[operator]:.0%} of it: {what}")
    names = ", ".join(exported.inputs), ", ".join(exported.outputs)
    print(f"{output}: {output.stat().st_size / 1e6:.1f} MB, inputs {names[0]}, outputs {names[1]}")


def _built(file: Path, function: str) -> tuple[nn.Module, tuple[Any, ...]]:
    if not file.is_file():
        raise ExportError(f"{file}: no such file")
    try:
        with drop_in(), _importable_from(file.parent.resolve()):
            spec = importlib.util.spec_from_file_location(file.stem, file)
            assert spec is not None and spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            sys.modules[file.stem] = module
            spec.loader.exec_module(module)
            build = getattr(module, function, None)
            if not callable(build):
                raise ExportError(f"{file}: there is no function '{function}' in it")
            built = build()
    except ExportError:
        raise
    except Exception as error:  # anything may be wrong with somebody's code
        raise ExportError(f"{file}:{function} fails: {explain(error)}") from error
    if not isinstance(built, tuple) or len(built) != 2 or not isinstance(built[0], nn.Module):
        raise ExportError(
            f"{file}:{function} returns a {type(built).__name__}; let it return the network and a tuple of inputs, as "
            "(network, (torch.randn(1, 196, 192),))"
        )
    network, inputs = built
    inputs = inputs if isinstance(inputs, tuple | list) else (inputs,)
    if not tensors_in(inputs):
        raise ExportError(f"{file}:{function} returns no tensor among the inputs")
    return network, tuple(inputs)


@contextmanager
def _importable_from(folder: Path) -> Iterator[None]:
    """What somebody's file imports lies beside it; it stays importable, since a network may do so when it is run."""
    sys.path.insert(0, str(folder))
    yield


def _load(network: nn.Module, path: Path) -> None:
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, KeyError, pickle.UnpicklingError) as error:
        raise ExportError(f"{path}: can't be read as weights ({explain(error)})") from error
    while isinstance(found, Mapping) and not any(isinstance(value, Tensor) for value in found.values()):
        inner = next((found[name] for name in _STATES if name in found), None)
        if inner is None:
            break
        found = inner
    if not isinstance(found, Mapping) or not any(isinstance(value, Tensor) for value in found.values()):
        raise ExportError(f"{path}: holds no state of a network; save network.state_dict()")
    try:
        network.load_state_dict(dict(found))
    except RuntimeError as error:
        lines = [" ".join(line.split()) for line in str(error).splitlines()[1:]]
        raise ExportError(f"{path}: isn't the state of this network: {' '.join(lines)[:400]}") from error


def _axes(free: Sequence[Free], inputs: tuple[Any, ...]) -> tuple[list[dict[int, Any]] | None, int | None]:
    """As `torch.export` takes them, and the most that any may be; None where all are fixed."""
    if not free:
        return None, None
    longest = {one.name: one.most for one in free if one.most is not None}
    dims = {one.name: torch.export.Dim(one.name, max=longest.get(one.name)) for one in free}
    axes: list[dict[int, Any]] = [{} for _ in inputs]
    for one in free:
        if one.place >= len(inputs) or not isinstance(inputs[one.place], Tensor):
            raise ExportError(f"--free {one.place}:{one.axis}: there is no tensor {one.place} among the inputs")
        if one.axis >= inputs[one.place].dim():
            shape = tuple(inputs[one.place].shape)
            raise ExportError(f"--free {one.place}:{one.axis}: input {one.place} is of shape {shape}")
        axes[one.place][one.axis] = dims[one.name]
    return axes, max(longest.values(), default=None)


def _scans(path: Path) -> list[str]:
    """The scans of a file, equal ones together."""
    graph = onnx.load(path, load_external_data=False).graph
    shapes = {value.name: value.type.tensor_type.shape.dim for value in (*graph.input, *graph.value_info)}

    def sizes(name: str) -> list[Any]:
        return [size.dim_param or size.dim_value for size in shapes.get(name, ())]

    texts = Counter[str]()
    for node in graph.node:
        if node.op_type == "SelectiveScan":
            texts[f"{node.op_type}: u {_shape(sizes(node.input[0]))}, as (batch, channels, tokens)"] += 1
        elif node.op_type == "Ssd":
            texts[f"{node.op_type}: x {_shape(sizes(node.input[0]))}, as (batch, tokens, heads, head size)"] += 1
    return [f"{count} × canthus::{text}" for text, count in texts.items()]


def _shape(sizes: Sequence[Any]) -> str:
    return f"({', '.join(map(str, sizes))})"


def _told(speed: Speed) -> str:
    shares = [(operator, share) for operator, share in speed.shares.items() if share > _SHARE][:4]
    most = ", ".join(f"{operator} {share:.0%}" for operator, share in shares)
    return (
        f"PyTorch {1000 * speed.pytorch:.3g} ms; ONNX Runtime {1000 * speed.with_library:.3g} ms with the library, "
        f"{1000 * speed.without:.3g} ms without; most of the former: {most}"
    )


def _count(number: int) -> str:
    return f"{number / 1e6:.1f} M" if number >= 100_000 else f"{number:,}"
