"""What values the activations take, in each lighting."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper

from canthus_calibration.layers import Layer
from canthus_calibration.ranges import Histogram
from canthus_calibration.running import BATCH, Array, opened, run_in_batches
from canthus_model.see.names import LIGHTINGS


def observe(
    graph: onnx.ModelProto,
    layers: Sequence[Layer],
    images: Array,
    lighting: Array,
    spare: Collection[str],
    report: Callable[[int], None],
) -> dict[str, Histogram]:
    """Histograms of every activation that a layer of an encoder reads, by its name.

    The clips are run twice: once to know from where to where values go, then to count them.

    Args:
        layers: of the encoder.
        images: that it is shown, uint8 (N, H, W).
        lighting: int64 (N,), places in LIGHTINGS.
        spare: activations that need no range.
        report: called with how many clips were run since the call before.
    """
    tensors = [name for name in dict.fromkeys(n for layer in layers for n in layer.inputs) if name not in spare]
    session = opened("encoder", _showing(graph, tensors))
    bounds = {name: (np.inf, -np.inf) for name in tensors}
    for outputs in run_in_batches(session, {"image": images}):
        for name, values in zip(tensors, outputs[1:], strict=True):
            low, high = bounds[name]
            bounds[name] = (min(low, float(values.min())), max(high, float(values.max())))
        report(len(outputs[0]))
    histograms = {name: Histogram.around(low, high, len(LIGHTINGS)) for name, (low, high) in bounds.items()}
    for number, outputs in enumerate(run_in_batches(session, {"image": images})):
        lightings = lighting[number * BATCH : (number + 1) * BATCH]
        for name, values in zip(tensors, outputs[1:], strict=True):
            for place in np.unique(lightings):
                histograms[name].add(int(place), values[lightings == place])
        report(len(outputs[0]))
    return histograms


def _showing(model: onnx.ModelProto, tensors: Sequence[str]) -> onnx.ModelProto:
    """An encoder with inner tensors as outputs too, behind its own."""
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    shown.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in tensors)
    return shown
