"""Trials of which layers stay in float: what the whole network then answers to the same clips, again and again."""

from __future__ import annotations

from collections.abc import Collection

from canthus.parts import ENCODERS
from canthus_calibration.layers import Layer
from canthus_calibration.network import Network, Ranges
from canthus_calibration.running import Array
from canthus_calibration.subsets import Drawn


class Trials:
    """Some clips, which the network answers in INT8 with other layers in float each time.

    Encoding them takes nearly all of the time, so an encoder whose layers are as in an earlier trial isn't run again.
    """

    def __init__(self, network: Network, ranges: Ranges, clips: Drawn) -> None:
        self._network, self._ranges, self._clips = network, ranges, clips
        self._encoded: dict[tuple[str, frozenset[str]], Array] = {}

    def answers(self, in_float: Collection[Layer]) -> Array:
        """The probabilities (N, labels) with the layers `in_float`."""
        return self._network.answers_in_int8({part: self._features(part, in_float) for part in ENCODERS})

    def _features(self, part: str, in_float: Collection[Layer]) -> Array:
        key = part, frozenset(layer.name for layer in in_float if layer.part == part)
        if key not in self._encoded:
            self._encoded[key] = self._network.features_of_part(part, self._ranges, in_float, self._clips)
        return self._encoded[key]
