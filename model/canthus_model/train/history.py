"""What each epoch came to, from the first one on; checkpoints keep it, so that it goes on with the run."""

from __future__ import annotations

from typing import Any, NamedTuple

import lightning as L

from canthus_model.train.looked_at import LookedAt
from canthus_model.train.module import LOSS, TRAINING_UAR


class Look(NamedTuple):
    """What clips that aren't trained on showed."""

    loss: float
    uar: float  # 0 to 1


class Epoch(NamedTuple):
    """What an epoch came to."""

    number: int  # from 1
    loss: float  # of training
    uar: float  # of training, 0 to 1: of the clips as they were learned from, while the network changed
    rate: float  # of learning
    look: Look | None  # after it, if there was one


class History(L.Callback):
    """All epochs of a run."""

    def __init__(self, looked_at: LookedAt) -> None:
        """`looked_at` tells what looks are at."""
        self._looked_at, self._looked = looked_at, False
        self.epochs: list[Epoch] = []

    def on_train_epoch_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._rate = float(trainer.optimizers[0].param_groups[0]["lr"])  # the epoch's last step lowers it

    def on_validation_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._looked = True

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        values, looked_at = trainer.callback_metrics, self._looked_at
        look = Look(float(values[looked_at.loss]), float(values[looked_at.uar])) if self._looked else None
        self._looked = False
        number = trainer.current_epoch + 1
        self.epochs.append(Epoch(number, float(values[LOSS]), float(values[TRAINING_UAR]), self._rate, look))

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers."""
        return {"epochs": [[*epoch[:-1], list(epoch.look) if epoch.look else None] for epoch in self.epochs]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """What `state_dict` gave. Raises ValueError, KeyError or TypeError for anything else."""
        self.epochs = [_read(*values) for values in state_dict["epochs"]]


def _read(number: object, loss: object, uar: object, rate: object, look: list[object] | None) -> Epoch:
    if type(number) is not int:
        raise ValueError(f"an epoch's number is {number!r}")
    read = None if look is None else Look(*map(_number, look))
    return Epoch(number, _number(loss), _number(uar), _number(rate), read)


def _number(value: object) -> float:
    if type(value) is not float:
        raise ValueError(f"{value!r} is no number of an epoch")
    return value
