"""That a graph names nothing outside itself: read from its bytes, before any runtime sees them."""

from __future__ import annotations

from canthus.errors import BundleError

_DOMAINS = (b"", b"ai.onnx", b"canthus")

_WITHIN = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse tensor"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse tensor", 23: "sparse tensor"},
    "sparse tensor": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
"""Messages by the numbers of the fields that hold them (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto)."""
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
_NODE_DOMAIN = 7

_NUMBER, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5  # how a field is written, as Protocol Buffers number it


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
        key, position = _number(message, position)
        field, written_as = key >> 3, key & 7
        start, position = _value(message, position, written_as)
        if kind == "tensor" and field == _EXTERNAL_DATA:
            raise BundleError("has weights in another file")
        if kind == "tensor" and field == _DATA_LOCATION and written_as == _NUMBER and any(message[start:position]):
            raise BundleError("has weights in another file")
        if written_as != _BYTES:
            continue
        content = message[start:position]
        if kind == "node" and field == _NODE_DOMAIN and content not in _DOMAINS:
            raise BundleError(f"has an operator of the domain {bytes(content[:80]).decode(errors='replace')!r}")
        if field in _WITHIN[kind]:
            within.append((_WITHIN[kind][field], content))
    return within


def _value(message: memoryview, position: int, written_as: int) -> tuple[int, int]:
    """Where a field's value begins and ends."""
    if written_as == _NUMBER:
        return position, _number(message, position)[1]
    if written_as == _BYTES:
        size, position = _number(message, position)
    elif written_as in (_EIGHT_BYTES, _FOUR_BYTES):
        size = 8 if written_as == _EIGHT_BYTES else 4
    else:
        raise ValueError(f"a field is written in way {written_as}")
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
