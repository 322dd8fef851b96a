"""The shared libraries that a shared library names as needed, read from its ELF file without loading it."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

_LOAD, _DYNAMIC = 1, 2  # types of segments
_END, _NEEDED, _STRINGS = 0, 1, 5  # tags of the dynamic segment's entries


def needed_libraries(path: Path) -> list[str]:
    """Their names, such as "libcudart.so.13", in the file's order.

    Raises:
        ValueError: the file isn't ELF of 64 bits, little-endian, or is cut short.
        OSError: it can't be read.
    """
    with path.open("rb") as file:
        try:
            return _read(file)
        except (struct.error, StopIteration) as error:
            raise ValueError(f"{path} is no complete 64-bit ELF file") from error


def _read(file: BinaryIO) -> list[str]:
    header = struct.unpack("<4sBB26xQ14xHH", file.read(58))
    magic, bits, order, segments_at, segment_size, segment_count = header
    if (magic, bits, order) != (b"\x7fELF", 2, 1):
        raise struct.error
    segments = []
    for i in range(segment_count):
        file.seek(segments_at + i * segment_size)
        kind, offset, address, size = struct.unpack("<I4xQQ8xQ", file.read(40))
        segments.append((kind, offset, address, size))
    _, offset, _, size = next(segment for segment in segments if segment[0] == _DYNAMIC)
    file.seek(offset)
    needed, strings = [], 0
    for tag, value in struct.iter_unpack("<QQ", file.read(size)):
        if tag == _END:
            break
        if tag == _NEEDED:
            needed.append(value)
        elif tag == _STRINGS:
            strings = value
    loads = (segment for segment in segments if segment[0] == _LOAD)
    at = next(offset + strings - address for _, offset, address, size in loads if 0 <= strings - address < size)
    return [_string(file, at + name) for name in needed]


def _string(file: BinaryIO, at: int) -> str:
    file.seek(at)
    name, end, _ = file.read(256).partition(b"\0")
    if not end:
        raise struct.error
    return name.decode(errors="replace")
