"""That a graph names nothing outside itself: read from its bytes, before any runtime sees them.

It is strict, since runtimes differ in how they read what is odd: a field that ONNX doesn't have, or that is written in
another way than ONNX's own code writes it, is refused.
"""

from __future__ import annotations

from typing import NamedTuple

from canthus.errors import BundleError

_DOMAINS = (b"", b"ai.onnx", b"canthus")
_FLATBUFFERS = (b"ORTM", b"TFL3")
"""What stands at a file's fifth byte that a runtime takes for another format than ONNX."""

_NUMBER, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5  # how a field is written, as Protocol Buffers number it


class _Message(NamedTuple):
    """What a message may hold: by a field's number, the message that is in it; and how others are written."""

    within: dict[int, str]
    others: dict[int, tuple[int, ...]]


def _message(
    within: dict[int, str] | None = None,
    *,
    of_bytes: tuple[int, ...] = (),
    numbers: tuple[int, ...] = (),
    floats: tuple[int, ...] = (),
    lists: dict[int, int] | None = None,
) -> _Message:
    """`lists` may also be written together, as bytes; by a field's number, how one of them is written alone."""
    others: dict[int, tuple[int, ...]] = dict.fromkeys(of_bytes, (_BYTES,))
    others |= dict.fromkeys(numbers, (_NUMBER,)) | dict.fromkeys(floats, (_FOUR_BYTES,))
    others |= {field: (alone, _BYTES) for field, alone in (lists or {}).items()}
    return _Message(within or {}, others)


MESSAGES = {
    "model": _message({7: "graph", 20: "training", 25: "function"}, of_bytes=(2, 3, 4, 6, 8, 14), numbers=(1, 5)),
    "training": _message({1: "graph", 2: "graph"}, of_bytes=(3, 4)),
    "graph": _message({1: "node", 5: "tensor", 15: "sparse tensor"}, of_bytes=(2, 10, 11, 12, 13, 14, 16)),
    "function": _message({7: "node", 11: "attribute"}, of_bytes=(1, 4, 5, 6, 8, 9, 10, 12, 13, 14)),
    "node": _message({5: "attribute"}, of_bytes=(1, 2, 3, 4, 6, 7, 8, 9)),
    "attribute": _message(
        {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse tensor", 23: "sparse tensor"},
        of_bytes=(1, 4, 9, 13, 14, 15, 21),
        numbers=(3, 20),
        floats=(2,),
        lists={7: _FOUR_BYTES, 8: _NUMBER},
    ),
    "sparse tensor": _message({1: "tensor", 2: "tensor"}, lists={3: _NUMBER}),
    "tensor": _message(
        of_bytes=(3, 6, 8, 9, 12, 13, 16),
        numbers=(2, 14),
        lists={1: _NUMBER, 4: _FOUR_BYTES, 5: _NUMBER, 7: _NUMBER, 10: _EIGHT_BYTES, 11: _NUMBER},
    ),
}
"""As in https://github.com/onnx/onnx/blob/main/onnx/onnx.proto, without what is for several devices."""
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
_NODE_DOMAIN = 7


def check_self_contained(name: str, graph: bytes) -> None:
    """Refuse a graph with weights in another file, whose bytes no hash covers, or with operators of other makers, some
    of which read files.

    Args:
        name: what errors call the graph.
        graph: an ONNX model, as Protocol Buffers write it (https://protobuf.dev/programming-guides/encoding).

    Raises:
        BundleError: it isn't self-contained, or is no such model.
    """
    unread = [("model", memoryview(graph))]
    try:
        if graph[4:8] in _FLATBUFFERS:
            raise ValueError(f"it begins as {graph[4:8].decode()} does")
        while unread:
            kind, message = unread.pop()
            unread += _check(kind, message)
    except ValueError as error:
        raise BundleError(f"{name} is no ONNX graph ({error}); export the bundle again") from error
    except BundleError as error:
        raise BundleError(f"{name} {error}; a bundle holds all that it needs: export it again") from None


def _check(kind: str, message: memoryview) -> list[tuple[str, memoryview]]:
    """Check a message's own fields; the messages within it."""
    within, position = [], 0
    while position < len(message):
        begun = position
        key, position = _number(message, position)
        field, written_as = key >> 3, key & 7
        if position - begun != max(1, -(-key.bit_length() // 7)):
            raise ValueError("a field's number is longer than it need be")
        allowed = (_BYTES,) if field in MESSAGES[kind].within else MESSAGES[kind].others.get(field, ())
        if written_as not in allowed:
            raise ValueError(f"a {kind} has no field {field} written in way {written_as}")
        start, position = _value(message, position, written_as)
        content = message[start:position]
        if kind == "tensor" and (field == _EXTERNAL_DATA or (field == _DATA_LOCATION and any(content))):
            raise BundleError("has weights in another file")
        if kind == "node" and field == _NODE_DOMAIN and content not in _DOMAINS:
            raise BundleError(f"has an operator of the domain {bytes(content[:80]).decode(errors='replace')!r}")
        if field in MESSAGES[kind].within:
            within.append((MESSAGES[kind].within[field], content))
    return within


def _value(message: memoryview, position: int, written_as: int) -> tuple[int, int]:
    """Where a field's value begins and ends."""
    if written_as == _NUMBER:
        return position, _number(message, position)[1]
    if written_as == _BYTES:
        size, position = _number(message, position)
    else:
        size = 8 if written_as == _EIGHT_BYTES else 4
    if position + size > len(message):
        raise ValueError("a field is cut short")
    return position, position + size


def _number(message: memoryview, position: int) -> tuple[int, int]:
    """A number in seven bits a byte, the lowest first; and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(message):
            raise ValueError("a number is cut short")
        byte = message[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
    raise ValueError("a number is too long")
