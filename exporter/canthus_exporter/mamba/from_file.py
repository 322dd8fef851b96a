"""What `canthus mamba` does: loads somebody's network from their code, exports it, and says what came of it."""

from __future__ import annotations

import ast
import importlib.util
import math
import operator
import pickle
import re
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from canthus_exporter.mamba.scans import SCANS
from canthus_exporter.mamba.speed import Speed, measure
from canthus_exporter.mamba.values import shapes_of, tensors_in
from canthus_exporter.named_axis import Free
from canthus_model.steps import Steps

_STATES = ("state_dict", "model", "model_state_dict", "net")
"""What people call a network's state in what they save."""
_SHARE = 0.03  # of the time, below which an operator isn't told of


_ARITHMETIC: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
}
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
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
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
    told = [str(one.message) for one in caught if output.name in str(one.message)]
    for text in told:
        steps.warn(text)
    if free:
        try:
            _check_tokens(output, free, most)
        except ExportError:
            output.unlink()
            output.with_name(f"{output.name}.data").unlink(missing_ok=True)
            raise
    for text in _scans(output):
        steps.note(text)
    if not exported.scans:
        steps.warn("there is no scan in the network; if it has one of its own, name its function with --also")
    with steps.step("time") as step:
        # Where memory didn't do for function bodies, it won't now.
        speed = measure(network, inputs, output, also, without=not told)
        step.result(_told(speed))
    for slow, what in _SLOW.items():
        if speed.shares.get(slow, 0) > _SHARE:
            steps.note(f"{slow} takes {speed.shares[slow]:.0%} of it: {what}")
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
    except (Exception, SystemExit) as error:  # anything may be wrong with somebody's code
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
    while isinstance(found, Mapping):
        inner = next((found[name] for name in _STATES if isinstance(found.get(name), Mapping)), None)
        if inner is None:
            break
        found = inner
    if (
        not isinstance(found, Mapping)
        or not all(isinstance(name, str) for name in found)
        or not any(isinstance(value, Tensor) for value in found.values())
    ):
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
    longest: dict[str, int] = {}
    for one in free:
        if one.most is not None and longest.setdefault(one.name, one.most) != one.most:
            raise ExportError(f"--free: '{one.name}' is {longest[one.name]} at most, and {one.most}; say one")
    dims = {one.name: torch.export.Dim(one.name, max=longest.get(one.name)) for one in free}
    axes: list[dict[int, Any]] = [{} for _ in inputs]
    for one in free:
        if one.place >= len(inputs) or not isinstance(inputs[one.place], Tensor):
            raise ExportError(f"--free {one.place}:{one.axis}: there is no tensor {one.place} among the inputs")
        if one.axis >= inputs[one.place].dim():
            shape = tuple(inputs[one.place].shape)
            raise ExportError(f"--free {one.place}:{one.axis}: input {one.place} is of shape {shape}")
        axes[one.place][one.axis] = dims[one.name]
    # Tokens may be along any of them, or several; what one isn't told the most of counts as in the example.
    sizes = {one.name: longest.get(one.name, inputs[one.place].shape[one.axis]) for one in free}
    return axes, math.prod(sizes.values()) if longest else None


def _check_tokens(path: Path, free: Sequence[Free], most: int | None) -> None:
    """Whether as many tokens can come as the axes allow, and no more than the bodies are right for.

    Raises:
        ExportError: an axis that tokens depend on has no most, or how many there may be isn't known.
    """
    longest = {one.name: one.most for one in free if one.most is not None}
    for tokens, _ in _tokens(path):
        if isinstance(tokens, int):
            continue
        endless = sorted(one for one in re.findall(r"[A-Za-z_]\w*", tokens) if one not in longest)
        if endless:
            raise ExportError(
                f"a scan has {tokens} tokens, and nothing says how large {', '.join(endless)} may be: --free "
                f"INPUT:AXIS={endless[0]}:MOST"
            )
        bound = _bound(ast.parse(tokens, mode="eval").body, longest)
        if bound is None or (most is not None and bound > most):
            raise ExportError(f"a scan has {tokens} tokens, more than {most}; use mamba.export and its max_tokens")


def _bound(sum_: ast.expr, longest: Mapping[str, int]) -> int | None:
    """What a sum of products of axes is at most; None if it is something else."""
    if isinstance(sum_, ast.Name):
        return longest[sum_.id]
    if isinstance(sum_, ast.Constant) and isinstance(sum_.value, int):
        return sum_.value
    if isinstance(sum_, ast.BinOp) and type(sum_.op) in _ARITHMETIC:
        left, right = _bound(sum_.left, longest), _bound(sum_.right, longest)
        if left is not None and right is not None:
            return _ARITHMETIC[type(sum_.op)](left, right)
    return None


def _scans(path: Path) -> list[str]:
    """The scans of a file, equal ones together."""
    return [f"{count} × canthus::{text}" for text, count in Counter(text for _, text in _tokens(path)).items()]


def _tokens(path: Path) -> Iterator[tuple[Any, str]]:
    """Of each scan of a file, how many tokens it has, and what it is."""
    graph = onnx.load(path, load_external_data=False).graph
    shapes = {value.name: value.type.tensor_type.shape.dim for value in (*graph.input, *graph.value_info)}
    for node in graph.node:
        scan = SCANS.get(node.op_type)
        if scan is not None:
            sizes = [size.dim_param or size.dim_value for size in shapes.get(node.input[0], ())]
            yield sizes[scan.tokens_axis], f"{node.op_type}: {scan.inputs[0]} {_shape(sizes)}, as {scan.axes}"


def _shape(sizes: Sequence[Any]) -> str:
    return f"({', '.join(map(str, sizes))})"


def _told(speed: Speed) -> str:
    shares = [(operator, share) for operator, share in speed.shares.items() if share > _SHARE][:4]
    most = ", ".join(f"{operator} {share:.0%}" for operator, share in shares)
    without = "" if speed.without is None else f", {1000 * speed.without:.3g} ms without"
    return (
        f"PyTorch {1000 * speed.pytorch:.3g} ms; ONNX Runtime {1000 * speed.with_library:.3g} ms with the library"
        f"{without}; most of the former: {most}"
    )


def _count(number: int) -> str:
    return f"{number / 1e6:.1f} M" if number >= 100_000 else f"{number:,}"
