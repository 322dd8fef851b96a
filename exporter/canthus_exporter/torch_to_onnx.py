"""From a PyTorch module to an ONNX graph, as torch.onnx.export writes it, without its notes."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import onnx
import torch
from torch import Tensor, nn

OPSET = 20
"""Has Gelu and LayerNormalization as operators; TensorRT's parser knows all of it."""


def torch_to_onnx(
    module: nn.Module,
    inputs: Sequence[Tensor],
    input_names: Sequence[str] | None,
    output_names: Sequence[str] | None,
    dynamic_shapes: Any,
    translations: Mapping[Any, Callable[..., Any]],
) -> onnx.ModelProto:
    """The graph of a module; its nodes of domain `canthus` have no bodies yet.

    Args:
        module: in evaluation mode.
        inputs: examples, of sizes of 2 or more along free axes.
        input_names, output_names: what the graph calls them, in order; None leaves that to PyTorch.
        dynamic_shapes: the axes that stay free, as `torch.export.export` takes them.
        translations: of PyTorch's operators to canthus's, a `custom_translation_table`.
    """
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), _quiet("torch.onnx"):
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module,
            tuple(inputs),
            dynamo=True,
            opset_version=OPSET,
            input_names=input_names,
            output_names=output_names,
            dynamic_shapes=dynamic_shapes,
            custom_translation_table=dict(translations),
            verbose=False,
        )
    model = program.model_proto
    for initializer in program.model.graph.initializers.values():
        initializer.const_value = None  # PyTorch keeps its newest graph for ever; the weights it needn't
    _strip_notes(model)
    return model


def _strip_notes(model: onnx.ModelProto) -> None:
    """Remove PyTorch's notes: they name source files of the machine that exported."""
    graph = model.graph
    for part in (
        model,
        graph,
        *graph.node,
        *graph.input,
        *graph.output,
        *graph.value_info,
        *graph.initializer,
    ):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")


@contextlib.contextmanager
def _quiet(logger: str) -> Iterator[None]:
    level = logging.getLogger(logger).level
    logging.getLogger(logger).setLevel(logging.ERROR)
    try:
        yield
    finally:
        logging.getLogger(logger).setLevel(level)
