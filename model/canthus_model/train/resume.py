"""Whether a run may begin in a folder, or go on there."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from canthus.errors import CheckpointError, TrainingError
from canthus_model.checkpoint import load_network, read_checkpoint
from canthus_model.config import NetworkConfig
from canthus_model.train.checkpointing import LAST, LIGHTNING


def check_folder(folder: Path, resume: bool) -> None:
    """Raises TrainingError if `folder` can't be written, holds a run already, or no run to resume."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise TrainingError(f"{folder}: can't be written ({error.strerror}); give a folder with -o") from error
    last = folder / LAST
    if last.exists() and not resume:
        raise TrainingError(f"{last}: holds a run already; go on with --resume, or give another folder with -o")
    if resume and not last.exists():
        raise TrainingError(f"{last}: no such file, so there is nothing to go on with; leave out --resume to begin")


def check_same_run(path: Path, facts: dict[str, Any], config: NetworkConfig, epochs: int) -> None:
    """Raises CheckpointError if `path` isn't usable, TrainingError if it is of another run or of the last epoch."""
    content = read_checkpoint(path)
    rest = content.get(LIGHTNING)
    saved = rest.get("hyper_parameters") if isinstance(rest, dict) else None
    finished = content.get("epoch")
    if not isinstance(saved, dict) or not isinstance(finished, int):
        raise CheckpointError(f"{path}: not a checkpoint of canthus train, which can go on from its own")
    for name, value in facts.items():
        if saved.get(name) != value:
            raise TrainingError(
                f"{path}: this checkpoint was trained with {name} {saved.get(name)}; this run has {value}. "
                "Give the options and the data set that it was begun with, or another folder with -o"
            )
    held = load_network(path, config.image_size).config
    if replace(held, dropout=config.dropout) != config:  # weights don't tell the dropout; the facts do
        raise CheckpointError(f"{path}: its network is of another size than it says; it has been tampered with")
    if finished >= epochs:
        raise TrainingError(f"{path}: has all of its {epochs} epochs already; more --epochs would go on")
