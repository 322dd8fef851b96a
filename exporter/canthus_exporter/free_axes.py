"""Which axes of a network's inputs were asked to stay free, whether they are, and other sizes for them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import onnx
import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.utils import _pytree as pytree

from canthus.errors import ExportError

Axes = list[dict[int, Any]]
"""By the tensors of a network's inputs, in order, the `torch.export.Dim` of each axis that is to stay free."""


def asked(module: nn.Module, inputs: Sequence[Any], dynamic_shapes: Any) -> Axes:
    """What `dynamic_shapes`, as `torch.export.export` takes it, says of every tensor in `inputs`."""
    if isinstance(dynamic_shapes, Mapping):
        names = [
            (name, parameter.kind is parameter.VAR_POSITIONAL)
            for name, parameter in inspect.signature(module.forward).parameters.items()
        ]
        single = [dynamic_shapes.get(name) for name, several in names if not several]
        several = [shape for name, many in names if many for shape in dynamic_shapes.get(name) or ()]
        dynamic_shapes = [*single[: len(inputs) - len(several)], *several]
    return list(_asked(list(inputs), dynamic_shapes))


def _asked(value: Any, shapes: Any) -> Iterator[dict[int, Any]]:
    if isinstance(value, Tensor):
        pairs = shapes.items() if isinstance(shapes, Mapping) else enumerate(shapes or ())
        yield {axis: dim for axis, dim in pairs if isinstance(dim, torch.export.Dim | str)}
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield from _asked(one, shapes and shapes.get(key))
    elif isinstance(value, list | tuple):
        for one, shape in zip(value, shapes or [None] * len(value), strict=False):
            yield from _asked(one, shape)


def name_axes(model: onnx.ModelProto, program: ExportedProgram, axes: Axes) -> None:
    """Call the free axes of a graph what their `Dim`s are called; PyTorch has numbers for them."""
    names = {
        str(size): _name(dim)
        for tensor, free in zip(_inputs(program), axes, strict=False)
        for axis, dim in free.items()
        if isinstance(size := tensor.shape[axis], torch.SymInt) and str(size).isidentifier()
    }
    if not names:
        return
    symbols = re.compile(rf"\b({'|'.join(names)})\b")
    for value in (*model.graph.input, *model.graph.value_info, *model.graph.output):
        for size in value.type.tensor_type.shape.dim:
            if size.HasField("dim_param"):
                size.dim_param = symbols.sub(lambda found: names[found.group()], size.dim_param)


def _inputs(program: ExportedProgram) -> list[Tensor]:
    used = set(program.graph_signature.user_inputs)
    values = [node.meta["val"] for node in program.graph.nodes if node.op == "placeholder" and node.name in used]
    return [value for value in values if isinstance(value, Tensor)]


def check_free(model: onnx.ModelProto, axes: Axes) -> None:
    """
    Raises:
        ExportError: an axis of the graph's inputs is fixed that was asked to stay free.
    """
    for value, free in zip(model.graph.input, axes, strict=True):
        for axis, dim in free.items():
            size = value.type.tensor_type.shape.dim[axis]
            if size.HasField("dim_value"):
                raise ExportError(
                    f"axis {axis} of input '{value.name}', '{_name(dim)}', can't stay free: the graph has it fixed at "
                    f"{size.dim_value}; leave it out of dynamic_shapes"
                )


def other_sizes(inputs: Any, axes: Axes) -> Iterator[Any]:
    """The same inputs in other sizes along their free axes, cut or repeated: some that may suit the network.

    The last are the smallest.
    """
    leaves, structure = pytree.tree_flatten(inputs)
    tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
    sizes = _root_sizes(tensors, axes)
    for change in (lambda n: n + 1, lambda n: 2 * n, lambda n: n - 1, lambda n: n // 2, lambda n: 0):
        other = {name: max(change(size), _smallest(dim)) for name, (size, dim) in sizes.items()}
        if any(not _allows(dim, other[name]) for name, (_, dim) in sizes.items()):
            continue
        resized = iter(_resized(tensor, free, other) for tensor, free in zip(tensors, axes, strict=True))
        yield pytree.tree_unflatten([next(resized) if isinstance(leaf, Tensor) else leaf for leaf in leaves], structure)


def _root_sizes(tensors: Sequence[Tensor], axes: Axes) -> dict[str, tuple[int, Any]]:
    """By the name of each `Dim` that isn't derived from another its size in the example, and itself."""
    found = {}
    for tensor, free in zip(tensors, axes, strict=True):
        for axis, dim in free.items():
            root = getattr(dim, "root", dim)
            size = next(n for n in range(tensor.shape[axis] + 1) if _size(dim, n) == tensor.shape[axis])
            found[_name(root)] = (size, root)
    return found


def _size(dim: Any, root: int) -> int:
    return int(dim.fn(root)) if hasattr(dim, "fn") else root


def _smallest(dim: Any) -> int:
    return 1 if isinstance(dim, str) else max(1, int(dim.min))


def _allows(dim: Any, size: int) -> bool:
    return isinstance(dim, str) or bool(size <= dim.max)


def _resized(tensor: Tensor, free: Mapping[int, Any], roots: Mapping[str, int]) -> Tensor:
    for axis, dim in free.items():
        size = _size(dim, roots[_name(getattr(dim, "root", dim))])
        tensor = tensor.index_select(axis, torch.arange(size) % tensor.shape[axis])
    return tensor.clone()


def _name(dim: Any) -> str:
    return dim if isinstance(dim, str) else str(dim.__name__)
