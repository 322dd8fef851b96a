"""Keeps the weights of the epoch that was best by volunteers who were held back."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L

from canthus.errors import CheckpointError
from canthus_model.checkpoint import read_epoch
from canthus_model.train.history import Epoch, History

BEST = "best.pth"


class KeepBest(L.Callback):
    """Writes `best.pth`, in the format of `weights.pth`, after each epoch that is better than all before.

    Better is a higher UAR, then a lower loss. It is written before the checkpoint that says that the epoch is over, so
    that none is missed, whenever training is killed.
    """

    def __init__(self, folder: Path, history: History, say: Callable[[str], None]) -> None:
        """`history` must have its epochs before this; `say` is told in a line."""
        self._path, self._history, self._say = folder / BEST, history, say
        self._number: int | None = None

    @property
    def epoch(self) -> Epoch | None:
        """The best one so far."""
        return next((epoch for epoch in self._history.epochs if epoch.number == self._number), None)

    def told(self, volunteers: int) -> str:
        """Which epoch is the best one, in words, if one is; `volunteers` is the number of those held back."""
        best = self.epoch
        if best is None or best.look is None:
            return ""
        people = f"{volunteers} volunteer{'s' * (volunteers > 1)}"
        return f"{self._path}: epoch {best.number}, the best; validation UAR {100 * best.look.uar:.1f} % on {people}"

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        # A file that was removed, or written in an epoch that never ended, must not pass for the best one.
        lost = self._number is not None and _epoch_of(self._path) != self._number
        if trainer.strategy.broadcast(lost):  # other machines may not have the file
            if trainer.is_global_zero:
                self._say(
                    f"{self._path}: isn't of epoch {self._number}, the best so far; it will be the best one of the "
                    "epochs from here on"
                )
            self._number = None

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        now, best = self._history.epochs[-1], self.epoch
        if now.look and (best is None or _merit(now) > _merit(best)):
            self._number = now.number
            trainer.save_checkpoint(self._path, weights_only=True)

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers."""
        return {"epoch": self._number}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """What `state_dict` gave. Raises KeyError, or ValueError for an epoch that wasn't looked at."""
        self._number = state_dict["epoch"]
        if self._number is not None and not (self.epoch and self.epoch.look):
            raise ValueError(f"the best epoch is {self._number!r}")


def _merit(epoch: Epoch) -> tuple[float, float]:
    assert epoch.look is not None
    return epoch.look.uar, -math.inf if math.isnan(epoch.look.loss) else -epoch.look.loss


def _epoch_of(path: Path) -> int | None:
    try:
        return read_epoch(path)
    except CheckpointError:
        return None
