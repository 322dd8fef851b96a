"""Which layers of a graph INT8 is for: convolutions of images, dense layers, and the sums of residual blocks.

What follows the encoders is canthus's own operators. They compute in float32, from int8 weights; see `kept_weights`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import onnx

_FETCH = 20  # float32 multiplications that a core does while it fetches a weight from memory


@dataclass(frozen=True)
class Layer:
    """A layer that can be quantised: what it reads is rounded to 8 bits, and so are its weights.

    Attributes:
        name: as the network calls it, behind its part.
        node: its node's name.
        inputs: activations that it reads.
        result: the activation that others read of it, after what follows it that rounding doesn't disturb.
        work: what running it in float takes, in multiplications of a clip; nothing for a sum.
    """

    name: str
    node: str
    inputs: tuple[str, ...]
    result: str
    work: int

    @property
    def part(self) -> str:
        """The encoder whose layer it is."""
        return self.name.partition(".")[0]

    def reads(self, other: Layer) -> bool:
        """Whether it reads the result of the other."""
        return self.part == other.part and other.result in self.inputs


def find_layers(part: str, model: onnx.ModelProto) -> list[Layer]:
    """The layers of an encoder, in the order in which they run."""
    shapes = {initializer.name: list(initializer.dims) for initializer in model.graph.initializer}
    sizes = {value.name: _pixels(value) for value in (*model.graph.value_info, *model.graph.output)}
    readers = Counter(name for node in model.graph.node for name in node.input)
    passed_on = {
        node.input[0]: node.output[0]
        for node in model.graph.node
        if node.op_type in ("Relu", "MaxPool") and readers[node.input[0]] == 1
    }
    layers: list[Layer] = []
    convolution = ""
    for node in model.graph.node:
        weight = node.input[1] if len(node.input) > 1 else ""
        result = node.output[0]
        is_sum = node.op_type == "Add" and result in passed_on
        while result in passed_on:
            result = passed_on[result]
        if (node.op_type == "Conv" and len(shapes.get(weight, ())) == 4) or (
            node.op_type == "Gemm" and weight in shapes
        ):
            convolution = f"{part}.{weight.removesuffix('.weight')}"
            work = math.prod(shapes[weight]) * (sizes[node.output[0]] + _FETCH)
            layers.append(Layer(convolution, node.name, (node.input[0],), result, work))
        elif is_sum:
            block = convolution.rpartition(".")[0]
            layers.append(Layer(f"{block}.sum", node.name, tuple(node.input), result, 0))
    return layers


def with_dragged(layers: Sequence[Layer], in_float: Sequence[Layer]) -> list[Layer]:
    """The layers of `in_float`, and those that run in float because of them.

    A layer with weights runs in INT8 only where all who read its result read it rounded: else its INT8 weights would
    be made float32 for every clip, and cost more than they spare.
    """
    found = list(in_float)
    for other in found:  # and those that are found on the way
        found += [layer for layer in layers if layer.work and other.reads(layer) and layer not in found]
    return found


def _pixels(value: onnx.ValueInfoProto) -> int:
    """Of an image (N, channels, H, W); 1 of what is none."""
    return math.prod(axis.dim_value for axis in value.type.tensor_type.shape.dim[2:])
