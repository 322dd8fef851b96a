"""Raw uint8 images as the quantised input of the first convolution: no float image is ever made.

The first convolution reads grey levels less their mean, at scale 1 (`canthus_exporter.fold`). In 8 bits a grey level
is its own code and the mean the zero point, once it is a whole number.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from canthus_calibration.targets import Target

GREY_LEVELS = 256
MIDDLE = 128  # what an int8 code is less than its grey level


@dataclass(frozen=True)
class Image:
    """Where an image enters: raw, with a channel axis as float, and centred around `mean`."""

    raw: str
    channel: onnx.NodeProto
    centred: str
    mean: int


def round_means(model: onnx.ModelProto) -> list[Image]:
    """Make the mean of each image in `model` a whole grey level, in place, and the convolution's bias make up for it.

    Exact but at the border, where padding now is up to half a grey level off the mean.
    """
    graph = model.graph
    producer = {name: node for node in graph.node for name in node.output}
    values = {initializer.name: initializer for initializer in graph.initializer}
    images = []
    for node in graph.node:
        centre = producer.get(node.input[0]) if node.op_type == "Conv" else None
        if centre is None or centre.op_type != "Sub":
            continue
        channel = producer[centre.input[0]]
        cast = producer[channel.input[0]]
        mean = float(numpy_helper.to_array(values[centre.input[1]]))
        whole = round(mean)
        weight, bias = (numpy_helper.to_array(values[name]).astype(np.float64) for name in node.input[1:3])
        shifted = bias + weight.sum((1, 2, 3)) * (whole - mean)
        values[node.input[2]].CopyFrom(numpy_helper.from_array(shifted.astype(np.float32), node.input[2]))
        name = f"{centre.output[0]}.mean"
        graph.initializer.append(numpy_helper.from_array(np.float32(whole), name))
        centre.input[1] = name
        images.append(Image(cast.input[0], channel, centre.output[0], whole))
    return images


def override(images: list[Image], target: Target) -> dict[str, tuple[float, int]]:
    """Scale and zero point of each centred image, by its name."""
    if target.symmetric:
        furthest = max(max(image.mean, GREY_LEVELS - 1 - image.mean) for image in images)
        return {image.centred: (furthest / 127, 0) for image in images}
    return {image.centred: (1.0, image.mean - MIDDLE * target.signed) for image in images}


def enter_raw(model: onnx.ModelProto, images: list[Image], target: Target) -> None:
    """Where a centred image is quantised, in place: give the convolution the raw image's codes instead."""
    if target.symmetric:
        return
    graph = model.graph
    for image in images:
        quantise = [n for n in graph.node if n.op_type == "QuantizeLinear" and n.input[0] == image.centred]
        if not quantise:
            continue
        codes = quantise[0].output[0]
        axes = image.channel.input[1]
        if target.signed:
            less = f"{image.raw}.middle"
            graph.initializer.append(numpy_helper.from_array(np.int32(MIDDLE), less))
            steps = [
                helper.make_node("Unsqueeze", [image.raw, axes], [f"{image.raw}.channel"], f"{image.raw}.channel"),
                helper.make_node("Cast", [f"{image.raw}.channel"], [f"{image.raw}.wide"], to=TensorProto.INT32),
                helper.make_node("Sub", [f"{image.raw}.wide", less], [f"{image.raw}.less"]),
                helper.make_node("Cast", [f"{image.raw}.less"], [codes], to=TensorProto.INT8),
            ]
        else:
            steps = [helper.make_node("Unsqueeze", [image.raw, axes], [codes], f"{image.raw}.channel")]
        _replace(graph, {codes, image.centred, *image.channel.output, *image.channel.input[:1]}, steps)


def _replace(graph: onnx.GraphProto, outputs: set[str], steps: list[onnx.NodeProto]) -> None:
    """Put `steps` where the nodes that made `outputs` were."""
    others = [node for node in graph.node if not outputs.intersection(node.output)]
    del graph.node[:]
    graph.node.extend([*steps, *others])
