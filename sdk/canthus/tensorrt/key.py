"""This user's key, by which a plan is known to be this user's own: to deserialise a plan is to run its code."""

from __future__ import annotations

import os
import secrets
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from canthus.errors import EngineError

SIZE = 32  # bytes
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def key_path() -> Path:
    """`canthus/plan.key` in the user's data folder: XDG_DATA_HOME, else ~/.local/share.

    Raises:
        EngineError: the user has no home.
    """
    folder = Path(os.environ.get("XDG_DATA_HOME", ""))
    if not folder.is_absolute():
        try:
            folder = Path.home() / ".local" / "share"
        except RuntimeError as error:  # a container's user who is in no list of users
            raise EngineError("this user has no home to keep a key in; set XDG_DATA_HOME") from error
    return folder / "canthus" / "plan.key"


def read_key() -> bytes:
    """The key that was made at the first build.

    Raises:
        EngineError: there is none, or others may read or write it, so that it proves nothing.
    """
    path = key_path()
    try:
        _check_private(path.parent, path.parent.stat())
        with path.open("rb") as file:
            _check_private(path, os.fstat(file.fileno()))
            key = file.read(SIZE + 1)
    except FileNotFoundError as error:
        raise EngineError(
            f"{path}: no such key, so no plan can be known as one that you built: run `canthus build`, or copy the key "
            "from the machine that built the plan"
        ) from error
    except OSError as error:
        raise EngineError(f"{path}: can't be read ({error.strerror}); make it readable to you alone") from error
    if len(key) != SIZE:
        raise EngineError(f"{path}: is not a key of {SIZE} bytes; remove it, and run `canthus build` again")
    return key


def read_or_make_key() -> bytes:
    """The key; made if there is none.

    Raises:
        EngineError: as `read_key`, or it can't be written.
    """
    path = key_path()
    try:
        if not path.exists():
            _make(path)
    except OSError as error:
        raise EngineError(f"{path}: can't write the key ({error.strerror}); set XDG_DATA_HOME") from error
    return read_key()


def _make(path: Path) -> None:
    """Whole or not at all; of two that make one at the same time, the first wins."""
    path.parent.parent.mkdir(parents=True, exist_ok=True)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    descriptor, name = tempfile.mkstemp(".partial", f".{path.name}.", path.parent)  # this user's alone
    partial = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(SIZE))
        with suppress(FileExistsError):
            path.hardlink_to(partial)
    finally:
        partial.unlink()


def _check_private(path: Path, found: os.stat_result) -> None:
    if found.st_uid != os.geteuid():
        raise EngineError(f"{path}: belongs to another user; build as the user who runs, or set XDG_DATA_HOME")
    if stat.S_IMODE(found.st_mode) & _OTHERS:
        wanted = "700" if stat.S_ISDIR(found.st_mode) else "600"
        raise EngineError(
            f"{path}: others may read or write it, so it proves nothing: chmod {wanted} it; if others were "
            "on this machine, remove the key and build again"
        )
