"""How a network is trained, apart from the machine that does it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from canthus_model.config import SMALL, NetworkConfig


@dataclass(frozen=True)
class Recipe:
    """The defaults are the published ones (arXiv 2505.12007): AdamW and cross-entropy.

    Attributes:
        epochs: rounds in which each sequence gives one clip.
        batch: clips of one step, over all devices together.
        learning_rate: of the first epoch.
        weight_decay: AdamW's.
        decay: what the learning rate is multiplied by after each epoch.
        reseat: whether clips are varied as if the camera sat a little differently; not so as published.
        each_alone: weight of the losses of what is read from the features of one modality alone, by `losses.Readouts`.
        left_out: part of the clips that are shown without frames, and part of those without events.
        noise: how strong the sensor's noise is that is added to images, of `noise.py`'s; 1 is all of it.
        balance: weight of `losses.unbalance`, which grows the fewer experts are asked.

    The last four make a network use both modalities and all of its experts; as published, they are 0.
    """

    epochs: int = 100
    batch: int = 64
    learning_rate: float = 3e-4
    weight_decay: float = 1e-3
    decay: float = 0.94
    reseat: bool = False
    each_alone: float = 0.0
    left_out: float = 0.0
    noise: float = 0.0
    balance: float = 0.0


EACH_MODALITY = {"each_alone": 1.0, "left_out": 0.2, "noise": 2.0, "balance": 0.02}
"""What `canthus train --each-modality` adds to a recipe, and `--no-each-modality` takes from it."""


SMALL_RECIPE = Recipe(
    epochs=60, batch=16, learning_rate=1e-3, weight_decay=1e-2, decay=0.948, reseat=True, **EACH_MODALITY
)


class Preset(NamedTuple):
    """A size of the network, and how it is trained unless told otherwise."""

    config: NetworkConfig
    recipe: Recipe


PRESETS = {"paper": Preset(NetworkConfig(), Recipe()), "small": Preset(SMALL, SMALL_RECIPE)}
