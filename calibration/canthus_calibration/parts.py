"""The two graphs in five parts, so that what is measured of one encoder costs no run of the others.

The encoders of the first moment make up `prime`; those of the last moment and the head make up `react`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import onnx
from onnx import TensorProto, helper

from canthus.errors import CalibrationError

ENCODERS = (("prime", "frame"), ("prime", "event"), ("react", "frame"), ("react", "event"))
"""Graph and modality, in the order of the features that the head takes."""


@dataclass(frozen=True)
class Part:
    """A piece of a graph that can be run on its own.

    Attributes:
        graph: "prime" or "react", of whose nodes it holds some, by the same names.
        inputs, outputs: names of tensors.
    """

    graph: str
    model: onnx.ModelProto
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def holds(self, graph: str, node: str) -> bool:
        """Whether a node of a graph is in this piece."""
        return self.graph == graph and any(own.name == node for own in self.model.graph.node)


def split(graphs: dict[str, onnx.ModelProto]) -> tuple[list[Part], Part]:
    """The four encoders, in the order of ENCODERS, and the head, which takes their features in that order.

    Raises:
        CalibrationError: the graphs are not those that canthus exports.
    """
    encoders = [
        _cut(graph, graphs[graph], (modality,), (_features(graphs[graph], modality),)) for graph, modality in ENCODERS
    ]
    last = [encoder.outputs[0] for encoder in encoders[2:]]
    outputs = tuple(value.name for value in graphs["react"].graph.output)
    head = _cut("react", graphs["react"], ("first_frame", "first_event", *last), outputs)
    return encoders, head


def _features(model: onnx.ModelProto, modality: str) -> str:
    for node in model.graph.node:
        if f"{modality}.fc.weight" in node.input:
            return str(node.output[0])
    raise CalibrationError(f"no layer '{modality}.fc' is in the graph: it was not exported by this canthus")


def _cut(graph: str, model: onnx.ModelProto, inputs: Sequence[str], outputs: Sequence[str]) -> Part:
    """The nodes between `inputs` and `outputs`."""
    wanted, nodes = set(outputs), []
    for node in reversed(model.graph.node):
        if wanted.intersection(node.output) and not set(node.output) & set(inputs):
            nodes.append(node)
            wanted.update(node.input)
    types = {value.name: value for value in (*model.graph.input, *model.graph.value_info, *model.graph.output)}
    piece = onnx.ModelProto(ir_version=model.ir_version)
    piece.opset_import.extend(model.opset_import)
    used = {(node.domain, node.op_type) for node in nodes}
    piece.functions.extend(function for function in model.functions if (function.domain, function.name) in used)
    piece.graph.name = model.graph.name
    piece.graph.node.extend(reversed(nodes))
    piece.graph.initializer.extend(i for i in model.graph.initializer if i.name in wanted)
    piece.graph.input.extend(types[name] for name in inputs)
    piece.graph.output.extend(types[name] for name in outputs)
    piece.graph.value_info.extend(v for v in model.graph.value_info if v.name in wanted and v.name not in inputs)
    return Part(graph, piece, tuple(inputs), tuple(outputs))


def showing(part: Part, tensors: Sequence[str]) -> onnx.ModelProto:
    """The part's model with inner tensors as outputs too, behind its own."""
    model = onnx.ModelProto()
    model.CopyFrom(part.model)
    model.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in tensors)
    return model
