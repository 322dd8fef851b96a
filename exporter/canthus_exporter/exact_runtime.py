"""INT8 graphs in float64, behind the face of a runtime: what a bundle's golden answers are made by.

No sum overflows, and what is rounded on the way is so a billion times finer than a code. So the answers are the graphs'
own and not those of the machine that exports: any two round the same values to the same codes. What follows the
encoders, canthus's operators, rounds nothing to codes and is computed in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from torch import Tensor

from canthus.network import PartsNetwork
from canthus.parts import ENCODERS, HEAD, signature
from canthus.runtimes import Floats, Images
from canthus_exporter.head import COMPUTE

Settings = Mapping[str, Any]
Compute = Callable[..., Any]


def exact_runtime(graphs: Mapping[str, onnx.ModelProto]) -> PartsNetwork:
    """The network of an INT8 bundle's graphs, by part, as canthus_calibration makes them; for any target."""
    encoders = {part: _Part(part, graphs[part]) for part in ENCODERS}
    return PartsNetwork("float64", encoders, _Part(HEAD, graphs[HEAD]), at_once=False)


class _Part:
    def __init__(self, part: str, model: onnx.ModelProto) -> None:
        constants = {value.name: numpy_helper.to_array(value) for value in model.graph.initializer}
        self._constants = {name: _wide(array) for name, array in constants.items()}
        self._inputs, self._outputs = signature(part)
        self._steps: list[tuple[onnx.NodeProto, Compute]] = []
        for node in model.graph.node:
            settings = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
            if node.op_type == "QuantizeLinear":
                settings["codes"] = np.iinfo(constants[node.input[2]].dtype)
            compute = _in_float32(COMPUTE[node.op_type]) if node.domain == "canthus" else _OPERATORS[node.op_type]
            self._steps.append((node, partial(compute, settings)))

    def encode(self, images: Images) -> Floats:
        return self.answer([images])[0]

    @torch.inference_mode()
    def answer(self, features: Sequence[NDArray[Any]]) -> list[Floats]:
        values = self._constants | dict(zip(self._inputs, map(_wide, features), strict=True))
        for node, compute in self._steps:
            made = compute(*(values[name] for name in node.input))
            values.update(zip(node.output, made if isinstance(made, tuple) else (made,), strict=True))
        return [values[name].float().numpy() for name in self._outputs]


def _wide(array: NDArray[Any]) -> Tensor:
    """Floats and codes as float64; shapes and axes as they are."""
    return torch.from_numpy(array.astype(np.int64 if array.dtype == np.int64 else np.float64))


def _in_float32(compute: Compute) -> Compute:
    def run(_: Settings, *given: Tensor) -> Any:
        made = compute(*(value.float() for value in given))
        return tuple(value.double() for value in made) if isinstance(made, tuple) else made.double()

    return run


def _quantise(settings: Settings, x: Tensor, scale: Tensor, zero: Tensor) -> Tensor:
    codes = settings["codes"]
    return (torch.round(x / scale) + zero).clamp(codes.min, codes.max)


def _dequantise(settings: Settings, codes: Tensor, scale: Tensor, zero: Tensor | None = None) -> Tensor:
    along = [1] * codes.ndim
    if scale.ndim:
        along[settings.get("axis", 1)] = -1
    return (codes if zero is None else codes - zero.reshape(along)) * scale.reshape(along)


def _convolve(settings: Settings, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    above, left, _, _ = settings["pads"]
    return F.conv2d(x, weight, bias, settings["strides"], (above, left))


def _largest(settings: Settings, x: Tensor) -> Tensor:
    above, left, _, _ = settings["pads"]
    return F.max_pool2d(x, settings["kernel_shape"], settings["strides"], (above, left))


def _dense(_: Settings, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.linear(x, weight, bias)


_OPERATORS: dict[str, Compute] = {
    "Add": lambda _, a, b: a + b,
    "Cast": lambda _, x: x,  # to what holds every value as it is
    "Concat": lambda settings, *parts: torch.cat(parts, settings["axis"]),
    "Conv": _convolve,
    "DequantizeLinear": _dequantise,
    "Gemm": _dense,
    "MaxPool": _largest,
    "Mul": lambda _, a, b: a * b,
    "QuantizeLinear": _quantise,
    "ReduceMean": lambda _, x, axes: x.mean(axes.tolist()),
    "Relu": lambda _, x: x.relu(),
    "Reshape": lambda _, x, shape: x.reshape([size or x.shape[axis] for axis, size in enumerate(shape.tolist())]),
    "Softmax": lambda settings, x: x.softmax(settings["axis"]),
    "Sub": lambda _, a, b: a - b,
    "Unsqueeze": lambda _, x, axes: x.unsqueeze(int(axes)),
}
"""As the graphs of canthus have them: symmetric padding, dense layers of transposed weights, means of whole images."""
