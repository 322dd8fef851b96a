"""Which layers of a graph INT8 is for: convolutions of images, dense layers, and the sums of residual blocks.

The Mamba and the fusion stay in float: they are a hundredth of the weights, and their kernel is canthus's own.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import onnx


@dataclass(frozen=True)
class Layer:
    """A layer that can be quantised: what it reads is rounded to 8 bits, and so are its weights.

    Attributes:
        name: as the network calls it, after "prime." or "react.".
        node: its node's name.
        inputs: activations that it reads.
        weights: how many it has.
    """

    name: str
    node: str
    inputs: tuple[str, ...]
    weights: int


def find_layers(graph: str, model: onnx.ModelProto) -> list[Layer]:
    """The layers of a graph or a part of one, in the order in which they run.

    Args:
        graph: "prime" or "react".
    """
    shapes = {initializer.name: list(initializer.dims) for initializer in model.graph.initializer}
    readers = Counter(name for node in model.graph.node for name in node.input)
    rectified = {node.input[0] for node in model.graph.node if node.op_type == "Relu"}
    layers: list[Layer] = []
    convolution = ""
    for node in model.graph.node:
        weight = node.input[1] if len(node.input) > 1 else ""
        if (node.op_type == "Conv" and len(shapes.get(weight, ())) == 4) or (
            node.op_type == "Gemm" and weight in shapes
        ):
            count = 1
            for axis in shapes[weight]:
                count *= axis
            convolution = f"{graph}.{weight.removesuffix('.weight')}"
            layers.append(Layer(convolution, node.name, (node.input[0],), count))
        elif node.op_type == "Add" and node.output[0] in rectified and readers[node.output[0]] == 1:
            block = convolution.rpartition(".")[0]
            layers.append(Layer(f"{block}.sum", node.name, tuple(node.input), 0))
    return layers
