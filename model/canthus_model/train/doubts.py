"""What looks wrong while a network is trained, said once."""

from __future__ import annotations

import math
from collections.abc import Callable

import lightning as L

from canthus_model.train.module import LOSS, TESTING_LOSS

FAR = 10
"""Times the training loss, or that of guessing, from which on a testing loss is told of."""


class Doubts(L.Callback):
    """Compares the losses after each epoch that looked at the testing subset."""

    def __init__(self, labels: int, say: Callable[[str], None]) -> None:
        """`labels` is their number; `say` is told in a line."""
        self._guessing, self._say, self._said, self._tested = math.log(labels), say, False, False

    def on_validation_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._tested = True

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        if not self._tested or self._said:
            return
        self._tested = False
        values = trainer.callback_metrics
        training, testing = float(values[LOSS]), float(values[TESTING_LOSS])
        if not testing <= FAR * max(training, self._guessing):  # also of NaN
            self._said = True
            if trainer.is_global_zero:
                self._say(
                    f"epoch {trainer.current_epoch + 1}: the testing loss is {testing:,.1f}, and the training loss "
                    f"{training:,.1f}: the network's answers to images that it wasn't trained on are wild. If later "
                    "epochs don't mend it, begin again with a smaller --learning-rate, and look at the testing images"
                )
