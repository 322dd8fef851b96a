"""A folder of results that appears whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

from canthus.errors import EvaluationError


def check_folder(folder: Path, may_hold: Collection[str] = ()) -> None:
    """Raise EvaluationError unless `folder` can be made, or is there and holds nothing but `may_hold`."""
    if not folder.parent.is_dir():
        raise EvaluationError(f"{folder.parent}: no such folder; create it first")
    if folder.exists() and not folder.is_dir():
        raise EvaluationError(f"{folder}: is a file; name a folder for the results")
    hidden = _hidden(folder)
    try:
        hidden.mkdir()
        hidden.rmdir()
    except OSError as error:
        raise EvaluationError(f"{folder}: can't write there ({error.strerror}); name another folder") from error
    if folder.is_dir() and (others := {path.name for path in folder.iterdir()} - set(may_hold)):
        raise EvaluationError(
            f"{folder}: holds {min(others)!r} already, and results don't mix; name a new folder, or empty this one"
        )


@contextlib.contextmanager
def filling(folder: Path) -> Iterator[Path]:
    """A hidden folder to write into; when the block is left without an error, its files are in `folder`.

    Raises:
        EvaluationError: no room or right to write.
    """
    exists, hidden = folder.is_dir(), _hidden(folder)
    try:
        hidden.mkdir()
        yield hidden
        if exists:
            for path in hidden.iterdir():
                path.replace(folder / path.name)
        else:
            hidden.rename(folder)
    except OSError as error:
        raise EvaluationError(f"{folder}: can't write it ({error.strerror}); name another folder") from error
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def _hidden(folder: Path) -> Path:
    return (folder if folder.is_dir() else folder.parent) / f".{folder.name}.{os.getpid()}.partial"
