"""`torch.export`, without giving up in silence what was asked for."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.export import Dim, ExportedProgram

from canthus.errors import ExportError
from canthus_exporter.cause import explain, place

_FIXED = re.compile(r"marked (\w+) as dynamic but your code specialized it to be a constant \((\d+)\)")


def capture(module: nn.Module, inputs: Sequence[Any], dynamic_shapes: Any) -> ExportedProgram:
    """The program of a module.

    `torch.export` runs the module; where that fails, it reads its code, which understands sizes better. Left to itself,
    `torch.onnx.export` makes an axis fixed that the code wants fixed, whatever was asked. The program may have been
    traced for a narrower range of sizes, as from 2 on: whether it is right beyond is to be tried.

    Args:
        module: in evaluation mode.
        inputs: examples.
        dynamic_shapes: the axes that stay free, as `torch.export.export` takes them; a text is a `Dim` of that name.

    Raises:
        ExportError: it can't be done; says why, and where in the module's code.
    """
    shapes, errors = _with_dims(dynamic_shapes, {}), []
    # Checks of sizes may be left to whoever runs the program: ONNX has none. The last way tells best what is wrong.
    for strict, deferred in ((False, True), (True, True), (True, False)):
        # An axis that is 0 or 1 in the example may stay free, too.
        with torch.fx.experimental._config.patch(backed_size_oblivious=True), quiet("torch"):
            try:
                export = partial(
                    torch.export.export, strict=strict, prefer_deferred_runtime_asserts_over_guards=deferred
                )
                return _export(export, module, tuple(inputs), shapes)
            except ExportError:
                raise
            except Exception as error:  # PyTorch's have no base of their own
                errors.append(error)
    for error in errors:
        if fixed := _FIXED.search(str(error)):
            name, size = fixed.groups()
            where = f" ({place(error)})" if place(error) else ""
            raise ExportError(
                f"the axis '{name}' can't stay free: the network's code makes it {size}{where}; change that line, or "
                "leave the axis out of dynamic_shapes"
            ) from error
    told = next((error for error in errors if place(error)), errors[0])
    raise ExportError(f"PyTorch can't trace the network: {explain(told)}") from told


def _export(export: Callable[..., ExportedProgram], module: nn.Module, inputs: Any, shapes: Any) -> ExportedProgram:
    """In a narrower range of sizes, if there is no other way; but no axis is fixed."""
    try:
        return export(module, inputs, dynamic_shapes=shapes)
    except torch._dynamo.exc.UserError as error:
        if _FIXED.search(str(error)):
            raise
        try:
            shapes = torch.export.dynamic_shapes.refine_dynamic_shapes_from_suggested_fixes(str(error), shapes)
        except Exception:  # there are no suggestions, or none that PyTorch understands
            raise error from None
        return export(module, inputs, dynamic_shapes=shapes)


def _with_dims(shapes: Any, dims: dict[str, Any]) -> Any:
    if isinstance(shapes, str):
        return dims.setdefault(shapes, Dim(shapes))
    if isinstance(shapes, dict):
        return {key: _with_dims(value, dims) for key, value in shapes.items()}
    if isinstance(shapes, tuple | list):
        return type(shapes)(_with_dims(value, dims) for value in shapes)
    return shapes


@contextlib.contextmanager
def quiet(logger: str) -> Iterator[None]:
    """While this lasts, a logger of PyTorch's says nothing: what goes wrong is raised."""
    level = logging.getLogger(logger).level
    logging.getLogger(logger).setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logging.getLogger(logger).setLevel(level)
