"""The folder of a run: it can be written, and a start that fails leaves nothing behind."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from canthus.errors import TrainingError
from canthus_model.train.checkpointing import LAST

LOGS = "tensorboard"


def check_folder(folder: Path, resume: bool) -> None:
    """Raises TrainingError if `folder` can't be written, holds a run already, or no run to resume. Makes nothing."""
    if folder.exists() and not folder.is_dir():
        raise TrainingError(f"{folder}: can't be written (it is a file); give a folder with -o")
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise TrainingError(f"{folder}: can't be written ({error.strerror}); give a folder with -o") from error
    last = folder / LAST
    if last.exists() and not resume:
        raise TrainingError(f"{last}: holds a run already; go on with --resume, or give another folder with -o")
    if resume and not last.exists():
        raise TrainingError(f"{last}: no such file, so there is nothing to go on with; leave out --resume to begin")


@contextlib.contextmanager
def run_folder(folder: Path) -> Iterator[None]:
    """Makes `folder`; where it comes to no checkpoint, removes what it made, and logs of nothing."""
    logs = folder / LOGS
    made = [path for path in (folder, *folder.absolute().parents) if not path.exists()]
    new_logs = not logs.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainingError(f"{folder}: can't be written ({error.strerror}); give a folder with -o") from error
    try:
        yield
    finally:
        if not (folder / LAST).exists():
            if new_logs:
                shutil.rmtree(logs, ignore_errors=True)
            for path in made:
                with contextlib.suppress(OSError):  # others have put something there
                    path.rmdir()
