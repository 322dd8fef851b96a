"""Checkpoints in the published format, written so that one good file is always there."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.plugins.io import CheckpointIO
from torch import Tensor

from canthus.errors import CheckpointError, TrainingError
from canthus_model.checkpoint import read_checkpoint
from canthus_model.facts import KEY, facts_of_training
from canthus_model.train.module import PREFIX
from canthus_model.train.settings import VOLUNTEERS

LAST = "last.pth"
WEIGHTS = "weights.pth"
PARTIAL = ".partial"  # suffix of a file that is being written
LIGHTNING = "lightning"
"""The key, beside the published ones, that holds the rest of what going on needs."""
_BESIDE = "beside the network"
"""Within it, tensors that learn in training and aren't the network's."""


def final_name(epochs: int) -> str:
    """What the checkpoint after the last epoch is called, as published ones are."""
    return f"save_{epochs}.pth"


class SaveEveryEpoch(Checkpoint):
    """Writes `last.pth` and, without what only going on needs, `weights.pth` after every epoch; and the final
    checkpoint after the last."""

    def __init__(self, folder: Path, epochs: int) -> None:
        self._folder, self._epochs = folder, epochs

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        # last.pth comes last: as long as it is of an earlier epoch, going on writes all.
        if trainer.current_epoch + 1 == self._epochs:
            trainer.save_checkpoint(self._folder / final_name(self._epochs))
        trainer.save_checkpoint(self._folder / WEIGHTS, weights_only=True)
        trainer.save_checkpoint(self._folder / LAST)


class PublishedFormat(CheckpointIO):
    """{'epoch': finished ones, 'state_dict', 'canthus': facts, 'optimizer', 'scheduler'} and the rest of Lightning's.

    Where only weights are asked for, the first three of them.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: object = None) -> None:
        """Raises TrainingError if the weights aren't finite or the file can't be written."""
        rest = dict(checkpoint)
        tensors = rest.pop("state_dict")
        state = {name.removeprefix(PREFIX): tensors.pop(name) for name in list(tensors) if name.startswith(PREFIX)}
        _check_finite(state | tensors, Path(path))
        settings = rest["hyper_parameters"]
        facts = facts_of_training(tuple(settings["image_size"]), tuple(settings["labels"]), tuple(settings[VOLUNTEERS]))
        published = {"epoch": rest.pop("epoch") + 1, "state_dict": state, KEY: facts.as_dict()}
        if "optimizer_states" in rest:
            published |= {
                "optimizer": rest.pop("optimizer_states")[0],
                "scheduler": rest.pop("lr_schedulers")[0],
                LIGHTNING: rest | {_BESIDE: tensors},
            }
        _write(published, Path(path))

    def load_checkpoint(
        self, path: str | Path, map_location: object = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Raises CheckpointError if it can't be read safely or isn't what `save_checkpoint` writes."""
        published = read_checkpoint(path, mmap=False)
        try:
            rest = dict(published[LIGHTNING])
            beside = rest.pop(_BESIDE, {})
            return {
                **rest,
                "loops": rest["loops"],  # without it Lightning would begin again
                "epoch": published["epoch"] - 1,
                "state_dict": {PREFIX + name: tensor for name, tensor in published["state_dict"].items()} | beside,
                "optimizer_states": [published["optimizer"]],
                "lr_schedulers": [published["scheduler"]],
            }
        except (KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(f"{path}: not a checkpoint of canthus train, which can go on from its own") from error

    def remove_checkpoint(self, path: str | Path) -> None:
        Path(path).unlink(missing_ok=True)


def remove_partial(folder: Path) -> None:
    """Remove what a killed run was writing: checkpoints, and `whole_file`s."""
    for pattern in (f"*.pth{PARTIAL}", f".*.png.*{PARTIAL}"):
        for path in folder.glob(pattern):
            path.unlink(missing_ok=True)


def _check_finite(state: dict[str, Tensor], path: Path) -> None:
    if broken := [name for name, tensor in state.items() if not torch.isfinite(tensor).all()]:
        raise TrainingError(
            f"weights became NaN or infinite ({broken[0]} and {len(broken) - 1} more), so {path} was not written and "
            "is of the epoch before, if there was one; begin again with a smaller --learning-rate"
        )


def _write(content: dict[str, Any], path: Path) -> None:
    partial = path.with_name(path.name + PARTIAL)
    try:
        torch.save(content, partial)
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.replace(path)
        _sync_folder(path.parent)
    except (OSError, RuntimeError) as error:  # PyTorch tells a full disk as a RuntimeError
        reason = error.strerror if isinstance(error, OSError) else "is the disk full?"
        raise TrainingError(
            f"{path}: can't be written ({reason}). A checkpoint of the epoch before is whole: "
            "make room, then go on with --resume"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """So that the new name is on the disk too."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
