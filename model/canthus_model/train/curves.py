"""Keeps a picture of how a run goes beside its checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import lightning as L

from canthus_model.train.best import KeepBest
from canthus_model.train.history import History
from canthus_model.train.looked_at import LookedAt
from canthus_model.train.picture import draw_curves

CURVES = "curves.png"


class Curves(L.Callback):
    """Draws `curves.png` anew after each epoch with a look, before the checkpoint that says that the epoch is over."""

    def __init__(
        self,
        folder: Path,
        history: History,
        looked_at: LookedAt,
        labels: int,
        best: KeepBest,
        say: Callable[[str], None],
    ) -> None:
        """`labels` is their number; `best` knows the best epoch so far, if any is; `say` is told in a line."""
        self._path, self._history, self._looked_at, self._labels = folder / CURVES, history, looked_at, labels
        self._best, self._say = best, say

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        if not trainer.is_global_zero or self._history.epochs[-1].look is None:
            return
        try:
            draw_curves(self._history.epochs, self._path, self._looked_at, self._labels, self._best.epoch)
        except Exception as error:  # whatever it is: for want of a picture no training need end
            reason = error.strerror if isinstance(error, OSError) else str(error).partition("\n")[0]
            self._say(f"{self._path}: can't be written ({reason}); training goes on without it")
