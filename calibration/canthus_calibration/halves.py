"""Layers that stay in float keep their weights in float16: half the size, and an error far below INT8's."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def store_halves(model: onnx.ModelProto, nodes: Collection[str]) -> None:
    """Change `model` so that the weights of the nodes named are held in float16, and cast to float32 when it is loaded.

    Runtimes fold the cast once, so the layer runs as before. A weight beyond float16's range stays as it is.
    """
    initializers = {initializer.name: initializer for initializer in model.graph.initializer}
    casts = []
    for node in model.graph.node:
        weight = initializers.get(node.input[1]) if node.name in nodes and len(node.input) > 1 else None
        if weight is None or weight.data_type != TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(weight)
        if np.abs(values).max() > np.finfo(np.float16).max:
            continue
        name = weight.name
        half = f"{name}.float16"
        weight.CopyFrom(numpy_helper.from_array(values.astype(np.float16), half))
        casts.append(helper.make_node("Cast", [half], [name], f"{name}.cast", to=TensorProto.FLOAT))
    nodes_before = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes_before)
