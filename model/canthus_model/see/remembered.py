"""Which folders of images were found in order before, so that no image is decoded twice to find out.

A file for each data set, in the user's cache folder: `canthus/images/….txt` in XDG_CACHE_HOME, else ~/.cache. It holds
hashes alone, of names, sizes and times of change: no name and no picture can be got from it. Removing it costs no more
than the time of looking again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from canthus.whole_file import whole_file

_LARGEST = 64 * 2**20  # bytes of a file; SEE's has 160 kB
_BYTES = 16  # of a hash


class Remembered:
    """Hashes of folders in order; without a place to keep them in, nothing is remembered."""

    def __init__(self, root: Path) -> None:
        """`root` is the data set's folder."""
        self._path = _path(root)
        self.known = _read(self._path)
        self._found: set[str] = set()

    def add(self, digest: str) -> None:
        """Remember a folder by its `digest`."""
        self._found.add(digest)

    def keep(self) -> None:
        """Write what was added for next time. What can't be written is looked at again then."""
        if self._path is None or self._found == self.known:
            return
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(self._path) as partial:
                partial.write_text("\n".join(sorted(self._found)), encoding="ascii")


def digest_of(images: Sequence[Path], root: Path, rest: str) -> str:
    """Of the images of one folder, as far as their place in `root`, size and time of change tell, and of `rest`.

    Raises:
        OSError: one of them isn't there.
    """
    digest = hashlib.blake2b(f"{rest}\n{images[0].parent.relative_to(root)}".encode(), digest_size=_BYTES)
    for path in images:
        status = path.stat()
        digest.update(f"\n{path.name} {status.st_size} {status.st_mtime_ns}".encode())
    return digest.hexdigest()


def _path(root: Path) -> Path | None:
    folder = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not folder.is_absolute():
        try:
            folder = Path.home() / ".cache"
        except RuntimeError:  # a container's user who is in no list of users
            return None
    name = hashlib.blake2b(os.fsencode(root.resolve()), digest_size=_BYTES).hexdigest()
    return folder / "canthus" / "images" / f"{name}.txt"


def _read(path: Path | None) -> frozenset[str]:
    with contextlib.suppress(OSError, ValueError):
        if path and path.stat().st_size <= _LARGEST:
            return frozenset(path.read_text(encoding="ascii").split())
    return frozenset()
