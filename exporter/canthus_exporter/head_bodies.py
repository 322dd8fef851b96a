"""How the operators of the head are written to ONNX: a node, and a portable body traced from what `head` computes."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import onnx
import torch
from onnx import defs, helper, inliner
from onnxscript.values import Op, Opset
from torch import Tensor, nn

from canthus_exporter.function_bodies import Types, add_bodies, node_error
from canthus_exporter.head import COMPUTE, mcib, mco_mamba, routed_experts
from canthus_exporter.selective_scan_body import DOMAIN
from canthus_exporter.selective_scan_node import find_scan_body, scan_translation
from canthus_exporter.torch_to_onnx import torch_to_onnx

HEAD_OPERATORS = {"McoMamba": mco_mamba, "Mcib": mcib, "RoutedExperts": routed_experts}
_OUTPUTS = {"McoMamba": ["y"], "Mcib": ["fused"], "RoutedExperts": ["logits", "weights"]}
_MATRICES = ("fusion_weight", "linear_weight", "router_weight")
"""The inputs that may be int8."""


def head_translations() -> dict[Any, Callable[..., Any]]:
    """Of torch.onnx.export's `custom_translation_table`."""
    ops = {name: Op(Opset(DOMAIN, 1), name, _schema(name)) for name in HEAD_OPERATORS}

    def translation(name: str) -> Callable[..., Any]:
        return lambda *inputs: ops[name](*inputs)

    return {operator._opoverload: translation(name) for name, operator in HEAD_OPERATORS.items()}


@dataclass(frozen=True)
class HeadBody:
    """What a body depends on; one function body serves all nodes with equal ones.

    Attributes:
        op_type: one of HEAD_OPERATORS.
        shapes: of its inputs; the first axis of the first is the batch.
    """

    op_type: str
    shapes: tuple[tuple[int, ...], ...]

    @functools.cache  # noqa: B019  to trace it takes seconds, and the few that there are stay small
    def write(self, opset: int, overload: str = "") -> onnx.FunctionProto:
        """The function, in standard operators of `opset`."""
        names = list(inspect.signature(COMPUTE[self.op_type]).parameters)
        # Matrices as int8, so that what makes float32 of them is traced too; of float32 it makes the same.
        types = [torch.int8 if name in _MATRICES else torch.float32 for name in names]
        (_, *of_x), *of_weights = self.shapes
        inputs = [torch.zeros(shape, dtype=t) for shape, t in zip([(2, *of_x), *of_weights], types, strict=True)]
        free = [{0: torch.export.Dim("batch", min=1)}, *({} for _ in of_weights)]
        outputs = _OUTPUTS[self.op_type]
        # The free axes of one argument, which is all the positional ones.
        module = _Compute(self.op_type).eval()
        model = torch_to_onnx(module, inputs, names, outputs, (tuple(free),), scan_translation())
        add_bodies(model, {"SelectiveScan": find_scan_body})
        graph = inliner.inline_local_functions(model).graph
        constants = [helper.make_node("Constant", [], [i.name], value=i) for i in graph.initializer]
        return helper.make_function(
            DOMAIN,
            self.op_type,
            names,
            outputs,
            [*constants, *graph.node],
            [helper.make_opsetid("", opset)],
            overload=overload,
        )


def find_head_body(node: onnx.NodeProto, types: Types) -> HeadBody:
    """What the body of a node of one of HEAD_OPERATORS depends on.

    Raises:
        ExportError: the shape of an input isn't known.
    """
    unknown = [name for name in node.input if name not in types]
    if unknown:
        raise node_error(node, f"the shape of {unknown[0]} isn't known; run onnx.shape_inference on the model first")
    return HeadBody(node.op_type, tuple(tuple(types[name][1]) for name in node.input))


class _Compute(nn.Module):
    def __init__(self, op_type: str) -> None:
        super().__init__()
        self.compute = COMPUTE[op_type]

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        return self.compute(*inputs)


def _schema(name: str) -> defs.OpSchema:
    parameter = defs.OpSchema.FormalParameter
    inputs = inspect.signature(COMPUTE[name]).parameters
    return defs.OpSchema(
        name,
        DOMAIN,
        1,
        inputs=[parameter(i, f"T_{i}" if i in _MATRICES else "tensor(float)") for i in inputs],
        outputs=[parameter(o, "tensor(float)") for o in _OUTPUTS[name]],
        type_constraints=[
            (f"T_{i}", ["tensor(float)", "tensor(int8)"], "a matrix's data type") for i in inputs if i in _MATRICES
        ],
    )
