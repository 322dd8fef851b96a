"""From a PyTorch module to an ONNX graph, as torch.onnx.export writes it, without its notes."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import onnx
import torch
from onnxscript import opset20
from torch import nn

from canthus.errors import ExportError
from canthus_exporter.capture import capture, quiet
from canthus_exporter.cause import explain
from canthus_exporter.einsum import einsum
from canthus_exporter.free_axes import asked, name_axes

OPSET = 20
"""Has Gelu and LayerNormalization as operators; TensorRT's parser knows all of it."""


def torch_to_onnx(
    module: nn.Module,
    inputs: Sequence[Any],
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

    Raises:
        ExportError: PyTorch can't trace the module, or ONNX has nothing for one of its operators; says where.
    """
    with warnings.catch_warnings(), _silence(), quiet("torch.onnx"):
        warnings.simplefilter("ignore")
        captured = capture(module, inputs, dynamic_shapes)
        try:
            program = torch.onnx.export(
                captured,
                dynamo=True,
                opset_version=OPSET,
                input_names=input_names,
                output_names=output_names,
                custom_translation_table={
                    torch.ops.aten.sort.stable: _sort,
                    torch.ops.aten.einsum.default: einsum,
                    **translations,
                },
                verbose=False,
            )
        except Exception as error:  # PyTorch's have no base of their own
            raise ExportError(f"PyTorch can't write the network as ONNX: {explain(error, captured)}") from error
    model = program.model_proto
    name_axes(model, captured, asked(module, inputs, dynamic_shapes))
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
def _silence() -> Iterator[None]:
    """PyTorch prints graphs that it gives up; the error says what matters."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


def _sort(x, stable=False, dim=-1, descending=False):  # type: ignore
    """ONNX's TopK keeps the order of equal values: it is stable, whether or not that is asked for."""
    size = opset20.Gather(opset20.Shape(x), opset20.Constant(value_ints=[dim]))
    return opset20.TopK(x, size, axis=dim, largest=int(descending), sorted=1)
