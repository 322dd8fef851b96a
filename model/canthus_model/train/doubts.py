"""What looks wrong while a network is trained, said once."""

from __future__ import annotations

import math
from collections.abc import Callable

import lightning as L

from canthus_model.train.history import History
from canthus_model.train.looked_at import LookedAt

FAR = 10
"""Times the training loss, or that of guessing, from which on the loss of clips that aren't trained on is told of."""


class Doubts(L.Callback):
    """Compares the losses after each epoch that was looked at with other clips."""

    def __init__(self, labels: int, looked_at: LookedAt, history: History, say: Callable[[str], None]) -> None:
        """`labels` is their number; `history` must have its epochs before this; `say` is told in a line."""
        self._guessing, self._looked_at, self._history, self._say = math.log(labels), looked_at, history, say
        self._said = False

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        epoch, name = self._history.epochs[-1], self._looked_at.name
        if epoch.look is None or self._said:
            return
        training, looked_at = epoch.loss, epoch.look.loss
        if not looked_at <= FAR * max(training, self._guessing):  # also of NaN
            self._said = True
            if trainer.is_global_zero:
                self._say(
                    f"epoch {epoch.number}: the {name} loss is {looked_at:,.1f}, and the training loss "
                    f"{training:,.1f}: the network's answers to images that it wasn't trained on are wild. If later "
                    f"epochs don't mend it, begin again with a smaller --learning-rate, and look at the {name} images"
                )
