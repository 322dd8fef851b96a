"""Tells when training is slow because other programs use the cores."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import lightning as L

FAR_TOO_LONG = 0.5
"""Waiting for a core, as a share of computing, from which on it is told."""

WORTH_TELLING = 5_000_000_000
"""Nanoseconds of waiting in an epoch, below which nobody minds."""


class Spent(NamedTuple):
    """Of all threads of this process, since they began, in nanoseconds."""

    computing: int
    waiting: int  # ready, for a core


def spent() -> Spent | None:
    """As Linux counts it; None where it doesn't tell."""
    totals = [0, 0]
    try:
        for path in Path("/proc/self/task").glob("*/schedstat"):
            computing, waiting, _ = path.read_text().split()
            totals[0] += int(computing)
            totals[1] += int(waiting)
    except (OSError, ValueError):
        return None
    return Spent(*totals) if totals[0] else None


class Scarcity(L.Callback):
    """Compares both times of each epoch; says once that cores are scarce.

    Not of a run's first epoch, in which images are decoded beside it and much is done for the first time.
    """

    def __init__(self, say: Callable[[str], None], read: Callable[[], Spent | None] = spent) -> None:
        """`say` is told in a line."""
        self._say, self._read, self._said, self._epochs = say, read, False, 0
        self._before: Spent | None = None

    def on_train_epoch_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._before = self._read()

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        before, now = self._before, self._read()
        self._epochs += 1
        if self._said or self._epochs == 1 or not before or not now or not trainer.is_global_zero:
            return
        computing, waiting = now.computing - before.computing, now.waiting - before.waiting
        if waiting > max(WORTH_TELLING, FAR_TOO_LONG * computing):
            self._said = True
            share = waiting / (waiting + computing)
            self._say(
                f"epoch {trainer.current_epoch + 1} was slow for want of cores: threads of this training waited for "
                f"one for {share:.0%} of their time, since other programs use them; --threads 1 loses least by that, "
                "also with --resume"
            )
