"""Makes what is left of a broken-off AEDAT4 recording readable."""

from __future__ import annotations

import contextlib
import os
import shutil
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from canthus.errors import SourceError

_VERSION_LINE = b"#!AER-DAT4.0\r\n"
_TABLE_POSITION = 1  # the header's second field: where the table of contents is, or -1 for "look yourself"


@contextlib.contextmanager
def salvaged(path: Path) -> Iterator[str]:
    """The path of a copy that says it has no table of contents; it lives in memory and not on the disk.

    The header is a size-prefixed FlatBuffer (https://flatbuffers.dev/internals) behind the version line.

    Raises:
        SourceError: the header is damaged too, or this system keeps no files in memory.
    """
    if not hasattr(os, "memfd_create"):
        raise SourceError(f"{path}: the recording breaks off, and only Linux can read such; repair it with DV")
    with os.fdopen(os.memfd_create("canthus"), "w+b") as copy, tempfile.TemporaryDirectory() as folder:
        with path.open("rb") as original:
            shutil.copyfileobj(original, copy)
        try:
            copy.seek(_find_table_position(copy))
        except (struct.error, ValueError) as error:
            raise SourceError(f"{path}: not an AEDAT4 recording, or its beginning is damaged") from error
        copy.write(struct.pack("<q", -1))
        copy.flush()
        link = Path(folder) / path.name  # dv-processing insists on the file's suffix
        link.symlink_to(f"/proc/self/fd/{copy.fileno()}")
        yield str(link)


def _find_table_position(file: BinaryIO) -> int:
    def read(layout: str, position: int) -> int:
        file.seek(position)
        value: int
        (value,) = struct.unpack(layout, file.read(struct.calcsize(layout)))
        return value

    header = len(_VERSION_LINE) + 4
    table = header + read("<I", header)
    fields = table - read("<i", table)
    if read("<H", fields) < 4 + 2 * (_TABLE_POSITION + 1):
        raise ValueError("the header has no such field")
    offset = read("<H", fields + 4 + 2 * _TABLE_POSITION)
    if offset == 0:
        raise ValueError("the header leaves the field out")
    return table + offset
