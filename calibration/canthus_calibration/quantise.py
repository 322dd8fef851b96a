"""From a float32 graph to one with Q/DQ around the layers that run in INT8."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from onnxruntime.quantization import CalibrationMethod, QuantType
from onnxruntime.quantization.calibrate import TensorsData
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
from onnxruntime.quantization.quant_utils import add_infer_metadata

from canthus_calibration.images import Image, enter_raw, override
from canthus_calibration.layers import Layer
from canthus_calibration.ranges import Range
from canthus_calibration.targets import Target
from canthus_calibration.weight_scales import NARROW, WIDE, weight_scales

_WEIGHTED = ("Conv", "Gemm")


def quantise(
    model: onnx.ModelProto,
    layers: Collection[Layer],
    ranges: Mapping[str, Range],
    images: list[Image],
    target: Target,
    narrow: Collection[Layer] = (),
) -> onnx.ModelProto:
    """A copy of `model` in which `layers` read 8-bit activations and hold int8 weights, one scale per channel.

    What a layer gives is left as it is: it is rounded where a quantised layer reads it, so that a layer kept in float
    passes its precision on to its neighbours.

    Args:
        ranges: of every activation that a layer reads, but for the centred images.
        images: where the raw images enter, from `round_means`.
        narrow: the layers whose weights take 7 bits.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    if not layers:
        return copy
    activation = QuantType.QInt8 if target.signed else QuantType.QUInt8
    fixed = override(images, target)
    present = {name for node in model.graph.node for name in node.output}
    bounds = {**ranges, **dict.fromkeys(fixed, (-1.0, 1.0))}
    quantised = {layer.node for layer in layers}
    read = {name for layer in layers for name in layer.inputs}
    for node in model.graph.node:
        # The largest of some values has the codes that the values have, so they can be rounded before it.
        if node.op_type == "MaxPool" and node.output[0] in read:
            quantised.add(node.name)
            bounds[node.input[0]] = bounds[node.output[0]]
    narrow_nodes = {layer.node for layer in narrow}
    largest_codes = {
        node.input[1]: NARROW if node.name in narrow_nodes else WIDE
        for node in model.graph.node
        if node.name in quantised and node.op_type in _WEIGHTED
    }
    add_infer_metadata(copy)  # else it is written to disk and back, to learn shapes that it has
    quantizer = QDQQuantizer(
        copy,
        per_channel=True,
        reduce_range=False,
        weight_qType=QuantType.QInt8,
        activation_qType=activation,
        tensors_range=TensorsData(
            CalibrationMethod.MinMax,
            {name: (np.float32(low), np.float32(high)) for name, (low, high) in bounds.items() if name in present},
        ),
        nodes_to_quantize=sorted(quantised),
        nodes_to_exclude=[],
        op_types_to_quantize=["Conv", "Gemm", "Add", "MaxPool"],
        extra_options={
            "ActivationSymmetric": target.symmetric,
            "ForceQuantizeNoInputCheck": True,
            "QuantizeBias": target.int32_bias,
            "OpTypesToExcludeOutputQuantization": ["Conv", "Gemm", "Add"],
            "TensorQuantOverrides": {
                name: [
                    {
                        "quant_type": activation,
                        "scale": np.array(scale, np.float32),
                        "zero_point": np.array(zero, np.int8 if target.signed else np.uint8),
                    }
                ]
                for name, (scale, zero) in fixed.items()
                if name in present
            }
            | {
                weight.name: _of_each_output(numpy_helper.to_array(weight), largest_codes[weight.name])
                for weight in model.graph.initializer
                if weight.name in largest_codes
            },
        },
    )
    with _quiet():
        quantizer.quantize_model()
    result = quantizer.model.model
    del result.metadata_props[:]
    enter_raw(result, images, target)
    quantizer.model.topological_sort()
    return result


def _of_each_output(weight: NDArray[np.float32], largest_code: int) -> list[dict[str, Any]]:
    """The quantizer's overrides for a weight."""
    fixed = {"axis": 0, "quant_type": QuantType.QInt8, "zero_point": np.array(0, np.int8)}
    return [{**fixed, "scale": np.array(scale)} for scale in weight_scales(weight, largest_code)]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """ONNX Runtime's quantizer talks to the root logger about every model."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(disabled)
