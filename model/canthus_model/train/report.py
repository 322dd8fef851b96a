"""Telling how far training is: a bar on a terminal, a line for each epoch elsewhere."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
import warnings
from collections.abc import Iterator
from typing import Any

import lightning as L
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from canthus_model.train.history import History
from canthus_model.train.looked_at import LookedAt
from canthus_model.train.module import ACCURACY, LOSS


class Report(L.Callback):
    """What is common to both: how long epochs take, and whether other clips were looked at."""

    def __init__(self, epochs: int, looked_at: LookedAt, history: History) -> None:
        self._epochs, self._looked_at, self._history = epochs, looked_at, history
        self._seconds: list[float] = []  # of this run's epochs

    def say(self, text: str) -> None:
        """Write a line to stderr."""
        print(text, file=sys.stderr, flush=True)

    def on_train_epoch_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._begin = time.monotonic()

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        values = {name: float(value) for name, value in trainer.callback_metrics.items()}  # gathered in all processes
        self._seconds.append(time.monotonic() - self._begin)
        if trainer.is_global_zero:
            self._tell_epoch(trainer.current_epoch + 1, values, self._history.epochs[-1].look is not None)

    def _tell_epoch(self, epoch: int, values: dict[str, float], looked: bool) -> None:
        raise NotImplementedError

    def _left(self, epoch: int) -> str:
        """How long the epochs after this one will take, in words; nothing after the last."""
        left = self._epochs - epoch
        return f"left about {duration(left * sum(self._seconds) / len(self._seconds))}" if left else ""


class EpochLines(Report):
    """A line for each epoch."""

    def _tell_epoch(self, epoch: int, values: dict[str, float], looked: bool) -> None:
        parts = [f"loss {values[LOSS]:.3f}", f"training accuracy {100 * values[ACCURACY]:.1f} %"]
        if looked:
            name, war, uar = self._looked_at.name, values[self._looked_at.war], values[self._looked_at.uar]
            parts += [f"{name} loss {values[self._looked_at.loss]:.3f}"]
            parts += [f"{name} WAR {100 * war:.1f} %, UAR {100 * uar:.1f} %"]
        parts += [f"{self._seconds[-1]:.1f} s", self._left(epoch)]
        self.say(f"epoch {epoch} of {self._epochs}: " + ", ".join(filter(None, parts)))


class EpochBar(Report):
    """One line that is written over and over, of this epoch; above it a line for each look at other clips."""

    _REFRESH = 0.2  # seconds: to ask a GPU for the loss of a step makes it wait

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[loss]}"),
            TextColumn("{task.fields[left]}"),
        )
        hidden = not trainer.is_global_zero
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True, expand=True, disable=hidden)
        self._task = self._bar.add_task("", loss="", left="")
        self._refreshed = 0.0
        self._bar.start()

    def say(self, text: str) -> None:
        """Write a line above the bar."""
        self._bar.console.print(text, markup=False, highlight=False)

    def on_train_epoch_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        super().on_train_epoch_start(trainer, module)
        name = f"epoch {trainer.current_epoch + 1} of {self._epochs}"
        self._bar.reset(self._task, description=name, total=trainer.num_training_batches)

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: object, batch_index: int
    ) -> None:
        self._bar.update(self._task, completed=batch_index + 1)
        if time.monotonic() - self._refreshed > self._REFRESH:
            self._refreshed = time.monotonic()
            self._bar.update(self._task, loss=f"loss {float(outputs[LOSS]):.3f}")

    def on_validation_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._bar.reset(self._task, description=self._looked_at.name, total=sum(trainer.num_val_batches))

    def on_validation_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: object, batch_index: int
    ) -> None:
        self._bar.update(self._task, completed=batch_index + 1)

    def _tell_epoch(self, epoch: int, values: dict[str, float], looked: bool) -> None:
        self._bar.update(self._task, left=self._left(epoch))
        if looked:
            losses = f"loss {values[LOSS]:.3f}, {self._looked_at.name} {values[self._looked_at.loss]:.3f}"
            rates = f"WAR {100 * values[self._looked_at.war]:.1f}, UAR {100 * values[self._looked_at.uar]:.1f} %"
            self.say(f"epoch {epoch} of {self._epochs}: {losses}; {rates}")

    def teardown(self, trainer: L.Trainer, module: L.LightningModule, stage: str) -> None:
        self._end()

    def on_exception(self, trainer: L.Trainer, module: L.LightningModule, exception: BaseException) -> None:
        self._end()

    def _end(self) -> None:
        if hasattr(self, "_bar"):
            self._bar.stop()


def report(epochs: int, looked_at: LookedAt, history: History) -> Report:
    """What reports on a run of so many epochs, and on looks at other clips, to stderr.

    `history` must have its epochs before this.
    """
    return (EpochBar if sys.stderr.isatty() else EpochLines)(epochs, looked_at, history)


def duration(seconds: float) -> str:
    """As people say it: 40 s, 8 min, 2 h 13 min."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without Lightning's advice and PyTorch's warnings, which a user of the command can't act on."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
