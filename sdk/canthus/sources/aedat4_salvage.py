"""Makes what is left of a broken-off AEDAT4 recording readable."""

from __future__ import annotations

import contextlib
import os
import shutil
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path

from canthus.errors import SourceError
from canthus.sources.aedat4_header import end_of_whole_packets, table_position


@contextlib.contextmanager
def salvaged(path: Path) -> Iterator[str]:
    """The path of a copy with all whole packets and no table of contents; it lives in memory, not on the disk.

    Raises:
        SourceError: the header is damaged too, or this system keeps no files in memory.
    """
    if not hasattr(os, "memfd_create"):
        raise SourceError(f"{path}: the recording breaks off, and only Linux can read such; repair it with DV")
    with os.fdopen(os.memfd_create("canthus"), "w+b") as copy, tempfile.TemporaryDirectory() as folder:
        with path.open("rb") as original:
            shutil.copyfileobj(original, copy)
        position = table_position(copy, path)
        copy.truncate(end_of_whole_packets(copy))
        copy.seek(position)
        copy.write(struct.pack("<q", -1))
        copy.flush()
        link = Path(folder) / path.name  # dv-processing insists on the file's suffix
        link.symlink_to(f"/proc/self/fd/{copy.fileno()}")
        yield str(link)
