"""The beginning of an AEDAT4 recording: where its table of contents is, and which cameras it is of."""

from __future__ import annotations

import os
import re
import struct
from html import unescape
from pathlib import Path
from typing import BinaryIO

from canthus.errors import SourceError

_VERSION_LINE = b"#!AER-DAT4.0\r\n"
_SIZE_AT = len(_VERSION_LINE)
_HEADER = _SIZE_AT + 4  # behind the line and the header's size
_TABLE_POSITION, _DESCRIPTION = 1, 2  # the header's fields; of the position, -1 is for "look yourself"
_LARGEST_DESCRIPTION = 1 << 20
_STREAM = re.compile(r'<attr key="(typeIdentifier|source)" type="string">([^<]*)</attr>')
_KINDS = {"EVTS": "events", "FRME": "frames"}


def is_finished(path: Path) -> bool:
    """Whether the header says where the table of contents is, which is written last of all.

    Raises:
        SourceError: not an AEDAT4 recording.
    """
    with path.open("rb") as file:
        return read_number(file, "<q", table_position(file, path)) != -1


def cameras(path: Path) -> dict[str, set[str]]:
    """What each camera of a recording gave, of "events" and "frames", by its name; none if the header doesn't say."""
    with path.open("rb") as file:
        description = _description(file)
    found: dict[str, set[str]] = {}
    kind = ""
    for key, value in _STREAM.findall(description):  # of every stream its type, and then where it is from
        if key == "typeIdentifier":
            kind = _KINDS.get(value, "")
        elif kind:
            found.setdefault(unescape(value), set()).add(kind)
    return found


def table_position(file: BinaryIO, path: Path) -> int:
    """Where in the file the table's position stands.

    Raises:
        SourceError: not an AEDAT4 recording.
    """
    try:
        file.seek(0)
        if file.read(len(_VERSION_LINE)) != _VERSION_LINE:
            raise ValueError("the first line is another")
        position = _field(file, _TABLE_POSITION)
        read_number(file, "<q", position)
    except (struct.error, ValueError, OSError) as error:
        raise SourceError(f"{path}: not an AEDAT4 recording, or its beginning is damaged ({error})") from error
    return position


def end_of_whole_packets(file: BinaryIO) -> int:
    """A packet is its stream's number and its size, int32 each, and that many bytes."""
    length = file.seek(0, os.SEEK_END)
    position = _HEADER + read_number(file, "<i", _SIZE_AT)
    while position + 8 <= length:
        size = read_number(file, "<i", position + 4)
        if size <= 0 or position + 8 + size > length:
            break
        position += 8 + size
    return position


def read_number(file: BinaryIO, layout: str, position: int) -> int:
    """The number at a position, laid out as `struct` has it."""
    file.seek(position)
    value: int
    (value,) = struct.unpack(layout, file.read(struct.calcsize(layout)))
    return value


def _description(file: BinaryIO) -> str:
    """What each stream is, in XML."""
    try:
        position = _field(file, _DESCRIPTION)
        position += read_number(file, "<I", position)
        size = read_number(file, "<I", position)
        if size > _LARGEST_DESCRIPTION:
            return ""
        return file.read(size).decode(errors="replace")
    except (struct.error, ValueError, OSError):
        return ""


def _field(file: BinaryIO, number: int) -> int:
    """Where a field of the header stands, which is a size-prefixed FlatBuffer (https://flatbuffers.dev/internals)."""
    table = _HEADER + read_number(file, "<I", _HEADER)
    fields = table - read_number(file, "<i", table)
    if read_number(file, "<H", fields) < 4 + 2 * (number + 1):
        raise ValueError("the header has no such field")
    offset = read_number(file, "<H", fields + 4 + 2 * number)
    if offset == 0:
        raise ValueError("the header leaves the field out")
    return table + offset
