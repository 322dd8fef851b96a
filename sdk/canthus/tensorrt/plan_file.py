"""A plan as a file: what it was built from and for, the plan, and a seal over all of it by this user's key.

The layout: `_START` (magic, format, bytes of the header, bytes of the plan), the header (JSON, an object of texts), the
plan, and the HMAC-SHA256 of everything before it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import struct
from collections.abc import Mapping
from pathlib import Path

from canthus.errors import EngineError
from canthus.whole_file import whole_file

FORMAT = 1
LARGEST = 1 << 31
"""Bytes of a file: several times what the largest graph that a bundle may hold could need."""

_MAGIC = b"canthus plan"
_START = struct.Struct("<12sIIQ")
_LONGEST_HEADER = 4096
_SEAL = hashlib.sha256().digest_size
_AGAIN = "run `canthus build` again"


def write_plan(path: Path, key: bytes, fields: Mapping[str, str], plan: bytes) -> None:
    """
    Raises:
        OSError: there is no room or right to write there.
    """
    header = json.dumps(fields, sort_keys=True).encode()
    start = _START.pack(_MAGIC, FORMAT, len(header), len(plan))
    seal = hmac.new(key, start + header, hashlib.sha256)
    seal.update(plan)
    with whole_file(path) as partial, partial.open("xb") as file:
        file.writelines([start, header, plan, seal.digest()])


def read_plan(path: Path, key: bytes, fields: Mapping[str, str]) -> memoryview:
    """The plan in a file, which was sealed with this key and is of these fields.

    Raises:
        EngineError: it is not; the message says what is the matter.
        FileNotFoundError: there is none.
    """
    content = _read(path)
    if len(content) < _START.size or content[: len(_MAGIC)] != _MAGIC:
        raise EngineError(f"{path}: is no plan of canthus's; {_AGAIN}")
    _, version, header_size, plan_size = _START.unpack_from(content)
    if version != FORMAT:
        raise EngineError(f"{path}: is of format {version} and this canthus reads {FORMAT}; {_AGAIN}")
    plan_begin = _START.size + header_size
    plan_end = plan_begin + plan_size
    if header_size > _LONGEST_HEADER or plan_end + _SEAL != len(content):
        raise EngineError(f"{path}: was cut short or changed; {_AGAIN}")
    if not hmac.compare_digest(hmac.digest(key, content[:plan_end], "sha256"), content[plan_end:]):
        raise EngineError(
            f"{path}: is not as you built it: it was changed, or built by another user or on another machine, and a "
            f"plan is code; {_AGAIN}"
        )
    found = json.loads(bytes(content[_START.size : plan_begin]))
    for name, wanted in fields.items():
        if found.get(name) != wanted:
            raise EngineError(f"{path}: was built for {name} {found.get(name)!r}, not {wanted!r}; {_AGAIN}")
    return content[plan_begin:plan_end]


def _read(path: Path) -> memoryview:
    """All of it, at once: what is checked is what is used."""
    try:
        if path.exists() and not path.is_file():
            raise EngineError(f"{path}: is no file; remove it, and {_AGAIN}")
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > LARGEST:
                raise EngineError(f"{path}: has {size} bytes and no plan more than {LARGEST}; {_AGAIN}")
            return memoryview(file.read(size))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise EngineError(f"{path}: can't be read ({error.strerror}); {_AGAIN}") from error
