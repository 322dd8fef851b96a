"""The float32 network's parts, with what its layers read in each lighting: all that INT8 is decided from."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from typing import Any

import onnx

from canthus.parts import ENCODERS, HEAD, shown, signature
from canthus_calibration.images import round_means
from canthus_calibration.kept_weights import shrink_head, shrink_weights
from canthus_calibration.layers import Layer, find_layers
from canthus_calibration.observe import observe
from canthus_calibration.quantise import quantise
from canthus_calibration.ranges import Reconciled, reconcile
from canthus_calibration.running import Array, opened, run
from canthus_calibration.subsets import Drawn
from canthus_calibration.targets import Target

Report = Callable[[int, int], None]
Ranges = dict[str, dict[str, Reconciled]]
"""By part and activation."""


class Network:
    """The graphs of a bundle.

    Attributes:
        target: what it is quantised for.
        graphs: by part, with whole grey levels as the images' means.
        images: by encoder, where its raw image enters.
        layers: that can be quantised, of all encoders.
        narrow: those of them whose weights take 7 bits.
    """

    def __init__(self, graphs: Mapping[str, onnx.ModelProto], target: Target) -> None:
        """`graphs` are left as they are."""
        self.target = target
        self.graphs = {part: _copy(graph) for part, graph in graphs.items()}
        self.images = {part: round_means(self.graphs[part]) for part in ENCODERS}
        self.layers = [layer for part in ENCODERS for layer in find_layers(part, self.graphs[part])]
        self.narrow: list[Layer] = []

    def features(self, drawn: Drawn) -> dict[str, Array]:
        """What each encoder gives, (N, features) float32."""
        return features_of(self.graphs, drawn)

    def answers(self, features: Mapping[str, Array]) -> Array:
        """The head's probabilities (N, labels) for the features of each encoder."""
        return _answers(self._opened_head, features)

    def observe(self, drawn: Drawn, estimator: str, report: Report) -> Ranges:
        """The range of every activation that a layer reads."""
        done, total = 0, 2 * len(drawn) * len(ENCODERS)

        def clips_done(count: int) -> None:
            nonlocal done
            done += count
            report(done, total)

        ranges: Ranges = {}
        for part in ENCODERS:
            spare = {image.centred for image in self.images[part]}
            layers = [layer for layer in self.layers if layer.part == part]
            found = observe(
                self.graphs[part], layers, shown(part, drawn.frame, drawn.event), drawn.lighting, spare, clips_done
            )
            ranges[part] = {
                name: reconcile(histogram, estimator, symmetric=self.target.symmetric)
                for name, histogram in found.items()
            }
        return ranges

    def quantised(self, ranges: Ranges, in_float: Collection[Layer] = ()) -> dict[str, onnx.ModelProto]:
        """All graphs, in INT8 but for the layers `in_float`, whose weights are kept small, and the head's."""
        encoders = {part: self._quantised_encoder(part, ranges, in_float) for part in ENCODERS}
        return encoders | {HEAD: self._small_head()}

    def with_only(
        self, layer: Layer, ranges: Ranges, drawn: Drawn, features: Mapping[str, Array], *, narrow: bool = False
    ) -> Array:
        """The probabilities (N, labels) if `layer` alone is in INT8, with weights of 8 bits, or 7 if `narrow`.

        `features` are those of float32.
        """
        return self.answers({**features, layer.part: self.features_of_layer(layer, ranges, drawn, narrow=narrow)})

    def features_of_layer(self, layer: Layer, ranges: Ranges, drawn: Drawn, *, narrow: bool = False) -> Array:
        """What its encoder gives, (N, features), if `layer` alone is in INT8."""
        changed = self._quantise(layer.part, ranges, [layer], [layer] if narrow else [])
        return _encoded(layer.part, changed, drawn)

    def features_of_part(self, part: str, ranges: Ranges, in_float: Collection[Layer], drawn: Drawn) -> Array:
        """What an encoder gives, (N, features), in INT8 but for the layers `in_float`."""
        return _encoded(part, self._quantised_encoder(part, ranges, in_float), drawn)

    def answers_in_int8(self, features: Mapping[str, Array]) -> Array:
        """The probabilities (N, labels) of the head whose weights are kept small, for the features of each encoder."""
        return _answers(self._opened_small_head, features)

    @cached_property
    def _opened_head(self) -> Any:
        return opened(HEAD, self.graphs[HEAD])

    @cached_property
    def _opened_small_head(self) -> Any:
        return opened(HEAD, self._small_head())

    def _small_head(self) -> onnx.ModelProto:
        head = _copy(self.graphs[HEAD])
        shrink_head(head, int8=self.target.cast_int8)
        return head

    def _quantised_encoder(self, part: str, ranges: Ranges, in_float: Collection[Layer]) -> onnx.ModelProto:
        int8 = [layer for layer in self.layers if layer not in in_float]
        graph = self._quantise(part, ranges, int8, self.narrow)
        shrink_weights(graph, {layer.node for layer in in_float if layer.part == part}, int8=self.target.cast_int8)
        return graph

    def _quantise(
        self, part: str, ranges: Ranges, layers: Collection[Layer], narrow: Collection[Layer]
    ) -> onnx.ModelProto:
        bounds = {tensor: (found.low, found.high) for tensor, found in ranges[part].items()}
        own, narrow = ([layer for layer in some if layer.part == part] for some in (layers, narrow))
        return quantise(self.graphs[part], own, bounds, self.images[part], self.target, narrow)


def features_of(graphs: Mapping[str, onnx.ModelProto], drawn: Drawn) -> dict[str, Array]:
    """What each encoder gives, (N, features) float32."""
    return {part: _encoded(part, graphs[part], drawn) for part in ENCODERS}


def answers_of(graphs: Mapping[str, onnx.ModelProto], drawn: Drawn) -> Array:
    """The probabilities (N, labels) of a whole network."""
    return answers_from(graphs[HEAD], features_of(graphs, drawn))


def answers_from(head: onnx.ModelProto, features: Mapping[str, Array]) -> Array:
    """The probabilities (N, labels) of a head, for the features of each encoder."""
    return _answers(opened(HEAD, head), features)


def _encoded(part: str, graph: onnx.ModelProto, drawn: Drawn) -> Array:
    return run(opened(part, graph), {"image": shown(part, drawn.frame, drawn.event)})[0]


def _answers(head: Any, features: Mapping[str, Array]) -> Array:
    return run(head, dict(features))[signature(HEAD)[1].index("probabilities")]


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy
