"""From a PyTorch module to an ONNX graph with canthus's operators in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnx
from torch import Tensor, nn

from canthus_exporter.operators import add_function_bodies, custom_translation_table
from canthus_exporter.torch_to_onnx import torch_to_onnx


def trace(
    module: nn.Module,
    inputs: Sequence[Tensor],
    input_names: Sequence[str] | None,
    output_names: Sequence[str] | None,
    dynamic_shapes: Any,
    max_tokens: int | None = None,
) -> onnx.ModelProto:
    """The graph of a module, which any runtime runs.

    Args:
        module, inputs, input_names, output_names, dynamic_shapes: as for `torch_to_onnx`.
        max_tokens: of a selective scan, if the axis of its tokens is free.

    Raises:
        ExportError: as `add_function_bodies`.
    """
    model = torch_to_onnx(module, inputs, input_names, output_names, dynamic_shapes, custom_translation_table())
    add_function_bodies(model, max_tokens)
    onnx.checker.check_model(model)
    return model
