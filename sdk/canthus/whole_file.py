"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Where to write what is to be `path`: a name beside it, renamed in the end, and removed if that isn't reached.

    Raises:
        OSError: it can't be renamed.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def why_unwritable(path: Path) -> str | None:
    """Why no file can be written at `path`, in words, or None: to be asked before minutes of work. Leaves nothing."""
    if path.is_dir():
        return "is a folder; give the name of a file"
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            return None
    except OSError as error:
        return f"can't be written ({error.strerror}); give another place"
