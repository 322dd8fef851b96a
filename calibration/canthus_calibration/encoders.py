"""Whether each encoder's INT8 features are near float32's, whatever the head makes of them.

Answers alone don't tell: to a head that ignores an encoder, its features may be anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from canthus.parts import ENCODERS
from canthus.verify import features_moved
from canthus_calibration.fallback import fewest_in_float, worst
from canthus_calibration.layers import Layer, with_dragged
from canthus_calibration.network import Network, Ranges
from canthus_calibration.running import Array
from canthus_calibration.subsets import Drawn
from canthus_model.see.names import LIGHTINGS

FURTHEST = 0.1
"""As a share of their size, in the lighting where it is most. With every layer in INT8, encoders that a head listens to
were up to 0.07 off, those of untrained networks 0.05; one that a head ignores, 0.15."""

Errors = dict[str, float]
"""By lighting, how far an encoder's features are off, as a share of their size."""


def errors(float32: Array, int8: Array, lighting: NDArray[np.int64]) -> Errors:
    """Of one encoder's features, (N, F) each; lightings (N,), places in LIGHTINGS, without clips are left out."""
    found = {}
    for place, name in enumerate(LIGHTINGS):
        some = lighting == place
        if some.any():
            found[name] = features_moved(int8[some], float32[some], np.zeros(some.sum(), np.uint8))
    return found


def keep_near(
    network: Network, ranges: Ranges, in_float: Sequence[Layer], clips: Drawn, features: Mapping[str, Array]
) -> tuple[list[Layer], dict[str, Errors]]:
    """Add to the layers `in_float` as few as bring every encoder's features to within FURTHEST.

    Args:
        features: of the clips, by encoder, in float32.

    Returns:
        All layers to keep in float; and by the name of each that was added, what it alone does to the features.
    """
    kept, alone = list(in_float), {}
    for part in ENCODERS:
        exact = features[part]

        def near(some: list[Layer], part: str = part, exact: Array = exact) -> bool:
            made = network.features_of_part(part, ranges, with_dragged(network.layers, some), clips)
            return worst(errors(exact, made, clips.lighting))[1] <= FURTHEST

        must = [layer for layer in kept if layer.part == part]
        if near(must):
            continue
        layers = [layer for layer in network.layers if layer.part == part]
        found = {
            layer.name: errors(
                exact, network.features_of_layer(layer, ranges, clips, narrow=layer in network.narrow), clips.lighting
            )
            for layer in layers
        }
        squares = {name: {light: error**2 for light, error in one.items()} for name, one in found.items()}
        added = fewest_in_float(layers, squares, must, near)
        kept += [layer for layer in added if layer not in must]
        alone.update({layer.name: found[layer.name] for layer in added if layer not in must})
    return kept, alone
