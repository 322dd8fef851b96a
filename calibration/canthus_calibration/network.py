"""The float32 network in parts, with what its layers read in each lighting: all that INT8 is decided from."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import onnx

from canthus_calibration.images import round_means
from canthus_calibration.kept_weights import shrink_head, shrink_weights
from canthus_calibration.layers import Layer, find_layers
from canthus_calibration.observe import inputs_of, observe
from canthus_calibration.parts import split
from canthus_calibration.quantise import quantise
from canthus_calibration.ranges import Reconciled, reconcile
from canthus_calibration.running import Array, opened, run
from canthus_calibration.subsets import Drawn
from canthus_calibration.targets import Target

Report = Callable[[int, int], None]
Ranges = dict[str, dict[str, Reconciled]]
"""By graph and activation."""


class Network:
    """The graphs of a bundle, and their parts.

    Attributes:
        target: what it is quantised for.
        graphs: "prime" and "react", with whole grey levels as the images' means.
        images: by graph, where raw images enter.
        encoders: in the order of `parts.ENCODERS`.
        head: what takes their features.
        layers: that can be quantised, of both graphs.
        narrow: those of them whose weights take 7 bits.
    """

    def __init__(self, graphs: Mapping[str, onnx.ModelProto], target: Target) -> None:
        """`graphs` are left as they are."""
        self.target = target
        self.graphs = {name: _copy(graph) for name, graph in graphs.items()}
        self.images = {name: round_means(graph) for name, graph in self.graphs.items()}
        self.encoders, self.head = split(self.graphs)
        self.layers = [layer for name, graph in self.graphs.items() for layer in find_layers(name, graph)]
        self.narrow: list[Layer] = []

    def features(self, drawn: Drawn) -> list[Array]:
        """What each encoder gives, (N, features) float32 each."""
        inputs = inputs_of(self.encoders, drawn)
        encoders = zip(self.encoders, inputs, strict=True)
        return [run(opened(part.graph, part.model), images)[0] for part, images in encoders]

    def answers(self, features: list[Array]) -> Array:
        """The head's probabilities (N, labels) for the features."""
        feed = dict(zip(self.head.inputs, features, strict=True))
        return run(self._opened_head, feed)[self.head.outputs.index("probabilities")]

    def observe(self, drawn: Drawn, estimator: str, report: Report) -> Ranges:
        """The range of every activation that a layer reads."""
        feeds = inputs_of(self.encoders, drawn)
        done, total = 0, 2 * len(drawn) * len(self.encoders)

        def clips_done(count: int) -> None:
            nonlocal done
            done += count
            report(done, total)

        ranges: Ranges = {name: {} for name in self.graphs}
        for part, feed in zip(self.encoders, feeds, strict=True):
            spare = {image.centred for image in self.images[part.graph]}
            histograms = observe(part, feed, drawn.lighting, spare, clips_done)
            for name, histogram in histograms.items():
                ranges[part.graph][name] = reconcile(histogram, estimator, symmetric=self.target.symmetric)
        return ranges

    def quantised(self, ranges: Ranges, in_float: Collection[Layer] = ()) -> dict[str, onnx.ModelProto]:
        """Both graphs in INT8 but for the layers `in_float`, whose weights are kept small."""
        int8 = [layer for layer in self.layers if layer not in in_float]
        graphs = {name: self._quantise(name, graph, ranges, int8, self.narrow) for name, graph in self.graphs.items()}
        for name, graph in graphs.items():
            nodes = {layer.node for layer in in_float if layer.graph == name}
            shrink_weights(graph, nodes, int8=self.target.cast_int8)
            shrink_head(graph, int8=self.target.cast_int8)
        return graphs

    def with_only(
        self, layer: Layer, ranges: Ranges, drawn: Drawn, features: list[Array], *, narrow: bool = False
    ) -> Array:
        """The probabilities (N, labels) if `layer` alone is in INT8, with weights of 8 bits, or 7 if `narrow`.

        `features` are those of float32.
        """
        inputs = inputs_of(self.encoders, drawn)
        place = next(i for i, part in enumerate(self.encoders) if part.holds(layer.graph, layer.node))
        model = self.encoders[place].model
        changed = self._quantise(layer.graph, model, ranges, [layer], [layer] if narrow else [])
        own = [*features]
        own[place] = run(opened(layer.graph, changed), inputs[place])[0]
        return self.answers(own)

    @cached_property
    def _opened_head(self) -> Any:
        return opened("react", self.head.model)

    def _quantise(
        self, name: str, model: onnx.ModelProto, ranges: Ranges, layers: Collection[Layer], narrow: Collection[Layer]
    ) -> onnx.ModelProto:
        bounds = {tensor: (found.low, found.high) for tensor, found in ranges[name].items()}
        own = [layer for layer in layers if layer.graph == name]
        narrow = [layer for layer in narrow if layer.graph == name]
        return quantise(model, own, bounds, self.images[name], self.target, narrow)


def answers_of(graphs: Mapping[str, onnx.ModelProto], drawn: Drawn) -> Array:
    """The probabilities (N, labels) of a whole network, `prime` then `react`."""
    first = run(opened("prime", graphs["prime"]), {"frame": drawn.frame[:, 0], "event": drawn.event[:, 0]})
    feed = {"frame": drawn.frame[:, 1], "event": drawn.event[:, 1], "first_frame": first[0], "first_event": first[1]}
    names = [value.name for value in graphs["react"].graph.output]
    return np.asarray(run(opened("react", graphs["react"]), feed)[names.index("probabilities")])


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy
