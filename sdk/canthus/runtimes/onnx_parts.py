"""The parts of an ONNX graph that can run at once: what needs nothing but one of its inputs, and the rest.

The encoders of a moment don't need each other. A thread for each takes half the time of two threads for one after the
other, whose layers are too small to be shared out. Protobuf's wire format is read and written here, since a device has
no onnx package (protobuf.dev/programming-guides/encoding; the numbers of fields are those of onnx.proto).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

Bytes = bytes | memoryview
Needs = frozenset[str]

_GRAPH = 7
_NODE, _INITIALIZER, _INPUT, _OUTPUT, _VALUE_INFO = 1, 5, 11, 12, 13
_NODE_INPUT, _NODE_OUTPUT, _NODE_ATTRIBUTE, _ATTRIBUTE_GRAPHS = 1, 2, 5, (6, 11)
_NAME = {_INITIALIZER: 8, _INPUT: 1, _OUTPUT: 1, _VALUE_INFO: 1}
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_FLOAT32_TENSOR = b"\x12\x04\x0a\x02\x08\x01"  # the type of a ValueInfoProto, of any shape


class Part(NamedTuple):
    """An ONNX model with these inputs and outputs."""

    model: bytes
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def split(model: bytes, alone: Sequence[str]) -> list[Part]:
    """A part for each input of `alone`, of all that depends on no other input, and then one of the rest, if any.

    What passes from part to part has to be float32. A model whose nodes hold graphs stays in one part.

    Raises:
        ValueError: this is no ONNX model, or it has no such inputs.
    """
    return _Model(model).split(alone)


class _Field(NamedTuple):
    number: int
    value: memoryview  # empty of a number
    whole: memoryview


class _Node(NamedTuple):
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    whole: memoryview


class _Model:
    def __init__(self, model: bytes) -> None:
        self._model = model
        self._outside, graphs = _take(_fields(memoryview(model)), _GRAPH)
        if len(graphs) != 1:
            raise ValueError("it holds no graph")
        others, nodes = _take(_fields(graphs[0].value), _NODE)
        self._holds_graphs = any(_holds_graphs(field.value) for field in nodes)
        self._named: dict[int, dict[str, memoryview]] = {}
        for number, name in _NAME.items():
            others, found = _take(others, number)
            self._named[number] = {_text(field.value, name): field.value for field in found}
        self._others = others
        given = {"", *self._named[_INITIALIZER], *self._named[_INPUT]}
        self._nodes = _in_order([_node(field.value, field.whole) for field in nodes], given)

    def split(self, alone: Sequence[str]) -> list[Part]:
        inputs, outputs = self._named[_INPUT], self._named[_OUTPUT]
        missing = [name for name in alone if name not in inputs]
        if missing:
            raise ValueError(f"it has no input {', '.join(missing)}")
        if self._holds_graphs or not alone:
            return [Part(self._model, tuple(inputs), tuple(outputs))]
        groups: list[list[_Node]] = [[] for _ in (*alone, "the rest")]
        constants: list[_Node] = []
        known: dict[str, Needs] = {name: frozenset([name]) for name in inputs}
        for node in self._nodes:
            needs = Needs().union(*(known.get(name, ()) for name in node.inputs))
            known.update(dict.fromkeys(node.outputs, needs))
            if not needs:
                constants.append(node)
            else:
                groups[alone.index(next(iter(needs))) if len(needs) == 1 and needs <= set(alone) else -1].append(node)
        return [self._part(group, constants) for group in groups if group]

    def _part(self, group: list[_Node], constants: list[_Node]) -> Part:
        """The nodes of a group, behind those that depend on no input and that they read."""
        reads = {name for node in group for name in node.inputs}
        kept: list[_Node] = []
        for node in reversed(constants):
            if not reads.isdisjoint(node.outputs):
                kept.append(node)
                reads.update(node.inputs)
        kept = [*reversed(kept), *group]
        makes = {name for node in kept for name in node.outputs}
        own = {id(node) for node in kept}
        read_by_others = {name for node in self._nodes if id(node) not in own for name in node.inputs}
        constant = {name for node in constants for name in node.outputs}
        initializers, graph_inputs, graph_outputs = (self._named[n] for n in (_INITIALIZER, _INPUT, _OUTPUT))
        from_parts = sorted(reads - makes - set(initializers) - set(graph_inputs) - {""})
        to_parts = sorted((makes - constant) & read_by_others - set(graph_outputs))
        inputs = [*(name for name in graph_inputs if name in reads), *from_parts]
        outputs = [*(name for name in graph_outputs if name in makes), *to_parts]
        graph: list[Bytes] = [
            *(node.whole for node in kept),
            *(field.whole for field in self._others),
            *(_encoded(_INITIALIZER, value) for name, value in initializers.items() if name in reads),
            *(_encoded(_INPUT, self._value_info(name)) for name in inputs),
            *(_encoded(_OUTPUT, self._value_info(name)) for name in outputs),
        ]
        model: list[Bytes] = [*(field.whole for field in self._outside), _encoded(_GRAPH, b"".join(graph))]
        return Part(b"".join(model), tuple(inputs), tuple(outputs))

    def _value_info(self, name: str) -> Bytes:
        for number in (_INPUT, _OUTPUT, _VALUE_INFO):
            if name in self._named[number]:
                return self._named[number][name]
        return _encoded(1, name.encode()) + _FLOAT32_TENSOR


def _take(fields: Iterable[_Field], number: int) -> tuple[list[_Field], list[_Field]]:
    """The others, and those of this number."""
    others: list[_Field] = []
    found: list[_Field] = []
    for field in fields:
        (found if field.number == number else others).append(field)
    return others, found


def _in_order(nodes: list[_Node], given: set[str]) -> list[_Node]:
    """Each behind those whose outputs it reads (Kahn 1962); in a file they may be in any order."""
    readers: dict[str, list[_Node]] = {}
    missing = {}
    for node in nodes:
        names = set(node.inputs) - given
        missing[id(node)] = len(names)
        for name in names:
            readers.setdefault(name, []).append(node)
    ordered = [node for node in nodes if not missing[id(node)]]
    for node in ordered:  # and those that are found on the way
        for name in node.outputs:
            for reader in readers.pop(name, ()):
                missing[id(reader)] -= 1
                if not missing[id(reader)]:
                    ordered.append(reader)
    if len(ordered) < len(nodes):
        raise ValueError("it reads what nothing makes")
    return ordered


def _node(value: memoryview, whole: memoryview) -> _Node:
    names: dict[int, list[str]] = {_NODE_INPUT: [], _NODE_OUTPUT: []}
    for field in _fields(value):
        if field.number in names:
            names[field.number].append(str(field.value, "utf-8"))
    return _Node(tuple(names[_NODE_INPUT]), tuple(names[_NODE_OUTPUT]), whole)


def _holds_graphs(node: memoryview) -> bool:
    attributes = (field.value for field in _fields(node) if field.number == _NODE_ATTRIBUTE)
    return any(field.number in _ATTRIBUTE_GRAPHS for value in attributes for field in _fields(value))


def _text(message: memoryview, number: int) -> str:
    return next((str(field.value, "utf-8") for field in _fields(message) if field.number == number), "")


def _fields(message: memoryview) -> Iterator[_Field]:
    place = 0
    while place < len(message):
        start = place
        tag, place = _varint(message, place)
        number, kind = tag >> 3, tag & 7
        begin = place
        if kind == _VARINT:
            _, place = _varint(message, place)
            begin = place
        elif kind == _LENGTH:
            length, begin = _varint(message, place)
            place = begin + length
        elif kind in (_FIXED32, _FIXED64):
            place += 4 if kind == _FIXED32 else 8
        else:
            raise ValueError(f"a field of an unknown kind, {kind}")
        if place > len(message):
            raise ValueError("it ends too soon")
        yield _Field(number, message[begin:place], message[start:place])


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first, and where it ends."""
    value = shift = 0
    while True:
        if place >= len(message) or shift > 63:
            raise ValueError("it ends too soon")
        byte = message[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place


def _encoded(number: int, value: Bytes) -> bytes:
    """A field that has a length."""
    parts = bytearray()
    for left in (number << 3 | _LENGTH, len(value)):
        while left > 127:
            parts.append(left & 127 | 128)
            left >>= 7
        parts.append(left)
    return bytes(parts) + value
