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
_HEADER = len(_VERSION_LINE) + 4  # behind the line and the header's size
_TABLE_POSITION = 1  # the header's second field: where the table of contents is, or -1 for "look yourself"


def is_finished(path: Path) -> bool:
    """Whether the header says where the table of contents is, which is written last of all.

    Raises:
        SourceError: not an AEDAT4 recording.
    """
    with path.open("rb") as file:
        return _read(file, "<q", _find_table_position(file, path)) != -1


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
        table_position = _find_table_position(copy, path)
        copy.truncate(_end_of_whole_packets(copy))
        copy.seek(table_position)
        copy.write(struct.pack("<q", -1))
        copy.flush()
        link = Path(folder) / path.name  # dv-processing insists on the file's suffix
        link.symlink_to(f"/proc/self/fd/{copy.fileno()}")
        yield str(link)


def _find_table_position(file: BinaryIO, path: Path) -> int:
    """Where in the file the table's position stands.

    The header is a size-prefixed FlatBuffer (https://flatbuffers.dev/internals) behind the version line.
    """
    try:
        file.seek(0)
        if file.read(len(_VERSION_LINE)) != _VERSION_LINE:
            raise ValueError("the first line is another")
        table = _HEADER + _read(file, "<I", _HEADER)
        fields = table - _read(file, "<i", table)
        if _read(file, "<H", fields) < 4 + 2 * (_TABLE_POSITION + 1):
            raise ValueError("the header has no such field")
        offset = _read(file, "<H", fields + 4 + 2 * _TABLE_POSITION)
        if offset == 0:
            raise ValueError("the header leaves the field out")
        _read(file, "<q", table + offset)
    except (struct.error, ValueError, OSError) as error:
        raise SourceError(f"{path}: not an AEDAT4 recording, or its beginning is damaged ({error})") from error
    return table + offset


def _end_of_whole_packets(file: BinaryIO) -> int:
    """A packet is its stream's number and its size, int32 each, and that many bytes."""
    length = file.seek(0, os.SEEK_END)
    position = _HEADER + _read(file, "<i", _HEADER - 4)
    while position + 8 <= length:
        size = _read(file, "<i", position + 4)
        if size <= 0 or position + 8 + size > length:
            break
        position += 8 + size
    return position


def _read(file: BinaryIO, layout: str, position: int) -> int:
    file.seek(position)
    value: int
    (value,) = struct.unpack(layout, file.read(struct.calcsize(layout)))
    return value
