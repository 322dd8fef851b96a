"""What values the activations take, in each lighting."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from canthus_calibration.layers import find_layers
from canthus_calibration.parts import Part, showing
from canthus_calibration.ranges import Histogram
from canthus_calibration.running import BATCH, Array, opened, run_in_batches
from canthus_calibration.subsets import Drawn
from canthus_model.see.names import LIGHTINGS


def inputs_of(encoders: list[Part], drawn: Drawn) -> list[dict[str, Array]]:
    """What each encoder is shown: frames and event images of the moment that it looks at."""
    images = {"frame": drawn.frame, "event": drawn.event}
    moment = {"prime": 0, "react": 1}
    return [{name: images[name][:, moment[part.graph]] for name in part.inputs} for part in encoders]


def observe(
    part: Part, inputs: dict[str, Array], lighting: Array, spare: set[str], report: Callable[[int], None]
) -> dict[str, Histogram]:
    """Histograms of every activation that a layer of `part` reads, by its name.

    The clips are run twice: once to know from where to where values go, then to count them.

    Args:
        inputs: of the part, (N, ...).
        lighting: int64 (N,), places in LIGHTINGS.
        spare: activations that need no range.
        report: called with how many clips were run since the call before.
    """
    layers = find_layers(part.graph, part.model)
    tensors = [name for name in dict.fromkeys(n for layer in layers for n in layer.inputs) if name not in spare]
    session = opened(part.graph, showing(part, tensors))
    bounds = {name: (np.inf, -np.inf) for name in tensors}
    for outputs in run_in_batches(session, inputs):
        for name, values in zip(tensors, outputs[len(part.outputs) :], strict=True):
            low, high = bounds[name]
            bounds[name] = (min(low, float(values.min())), max(high, float(values.max())))
        report(len(outputs[0]))
    histograms = {name: Histogram.around(low, high, len(LIGHTINGS)) for name, (low, high) in bounds.items()}
    for number, outputs in enumerate(run_in_batches(session, inputs)):
        lightings = lighting[number * BATCH : (number + 1) * BATCH]
        for name, values in zip(tensors, outputs[len(part.outputs) :], strict=True):
            for place in np.unique(lightings):
                histograms[name].add(int(place), values[lightings == place])
        report(len(outputs[0]))
    return histograms
