"""What looks wrong while a network is trained, said once."""

from __future__ import annotations

import math
from collections.abc import Callable

import lightning as L

from canthus_model.train.looked_at import LookedAt
from canthus_model.train.module import LOSS

FAR = 10
"""Times the training loss, or that of guessing, from which on the loss of clips that aren't trained on is told of."""


class Doubts(L.Callback):
    """Compares the losses after each epoch that was looked at with other clips."""

    def __init__(self, labels: int, looked_at: LookedAt, say: Callable[[str], None]) -> None:
        """`labels` is their number; `looked_at` tells what looks are at; `say` is told in a line."""
        self._guessing, self._looked_at, self._say = math.log(labels), looked_at, say
        self._said, self._looked = False, False

    def on_validation_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._looked = True

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        if not self._looked or self._said:
            return
        self._looked = False
        values, name = trainer.callback_metrics, self._looked_at.name
        training, looked_at = float(values[LOSS]), float(values[self._looked_at.loss])
        if not looked_at <= FAR * max(training, self._guessing):  # also of NaN
            self._said = True
            if trainer.is_global_zero:
                self._say(
                    f"epoch {trainer.current_epoch + 1}: the {name} loss is {looked_at:,.1f}, and the training loss "
                    f"{training:,.1f}: the network's answers to images that it wasn't trained on are wild. If later "
                    f"epochs don't mend it, begin again with a smaller --learning-rate, and look at the {name} images"
                )
