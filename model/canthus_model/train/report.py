"""Telling how far training is: Lightning's bar on a terminal, a line for each epoch elsewhere."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
import warnings
from collections.abc import Iterator

import lightning as L
from lightning.pytorch.callbacks import RichProgressBar

from canthus_model.train.module import ACCURACY, LOSS, UAR, WAR


def report(epochs: int) -> L.Callback:
    """What reports on a run of so many epochs, to stderr."""
    return RichProgressBar(console_kwargs={"stderr": True}) if on_terminal() else EpochLines(epochs)


def on_terminal() -> bool:
    return sys.stderr.isatty()


class EpochLines(L.Callback):
    def __init__(self, epochs: int) -> None:
        self._epochs = epochs
        self._seconds: list[float] = []  # of this run's epochs
        self._tested = False

    def on_train_epoch_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._begin = time.monotonic()

    def on_validation_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._tested = True

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        values = trainer.callback_metrics  # in all processes: they are gathered here
        self._seconds.append(time.monotonic() - self._begin)
        line = (
            f"epoch {trainer.current_epoch + 1} of {self._epochs}: loss {values[LOSS]:.3f}, "
            f"training accuracy {values[ACCURACY]:.1%}, "
        ).replace("%", " %")
        if self._tested:
            line += f"testing WAR {100 * values[WAR]:.1f} %, UAR {100 * values[UAR]:.1f} %, "
            self._tested = False
        left = self._epochs - trainer.current_epoch - 1
        line += f"{self._seconds[-1]:.1f} s"
        if left:
            line += f", left about {duration(left * sum(self._seconds) / len(self._seconds))}"
        if trainer.is_global_zero:
            print(line, file=sys.stderr, flush=True)


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
