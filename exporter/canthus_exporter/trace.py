"""From a PyTorch module to an ONNX graph with canthus's operators in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnx
from onnx import numpy_helper
from torch import nn

from canthus_exporter.operators import add_function_bodies, custom_translation_table
from canthus_exporter.torch_to_onnx import torch_to_onnx


def trace(
    module: nn.Module,
    inputs: Sequence[Any],
    input_names: Sequence[str] | None,
    output_names: Sequence[str] | None,
    dynamic_shapes: Any,
    max_tokens: int | None = None,
) -> onnx.ModelProto:
    """The graph of a module, which any runtime runs. It may be larger than the 2 GB that one file takes.

    Args:
        module, inputs, input_names, output_names, dynamic_shapes: as for `torch_to_onnx`.
        max_tokens: of a selective scan, if the axis of its tokens is free.

    Raises:
        ExportError: as `torch_to_onnx` and `add_function_bodies`.
    """
    model = torch_to_onnx(module, inputs, input_names, output_names, dynamic_shapes, custom_translation_table())
    add_function_bodies(model, max_tokens)
    return model


def with_weights(model: onnx.ModelProto, module: nn.Module) -> onnx.ModelProto | None:
    """The graph of one module with the weights of another one that is built alike.

    Whether it was built alike isn't known here: what comes out must be compared with what the module computes.

    Returns:
        None where a weight of the module isn't in the graph by its name, for instance since it was equal to another
        one in the module that was traced.
    """
    weights = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    held = {initializer.name: initializer for initializer in copy.graph.initializer}
    if not weights.keys() <= held.keys():
        return None
    for name, weight in weights.items():
        held[name].CopyFrom(numpy_helper.from_array(weight.detach().cpu().numpy(), name))
    return copy
