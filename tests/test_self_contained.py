"""A bundle's graph names nothing outside itself, wherever in it a name could stand."""

import contextlib
import time

import numpy as np
import pytest

import canthus
from bundles import written
from canthus.bundle import read_bundle
from canthus.cli import main
from canthus.manifest import MEMBERS
from canthus.self_contained import MESSAGES, check_self_contained

onnx = pytest.importorskip("onnx")


def outside(location="weights.bin"):
    tensor = onnx.helper.make_tensor("w", onnx.TensorProto.FLOAT, [0], [])
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return tensor


def sparse(tensor):
    indices = onnx.helper.make_tensor("i", onnx.TensorProto.INT64, [0], [])
    return onnx.helper.make_sparse_tensor(tensor, indices, [4])


def inner(graph):
    return onnx.helper.make_graph([], graph, [], [], [outside()])


PLACES = {
    "initializer": lambda model: model.graph.initializer.append(outside()),
    "sparse initializer": lambda model: model.graph.sparse_initializer.append(sparse(outside())),
    "Constant": lambda model: model.graph.node.append(
        onnx.helper.make_node("Constant", [], ["c"], value=outside("/etc/passwd"))
    ),
    "sparse Constant": lambda model: model.graph.node.append(
        onnx.helper.make_node("Constant", [], ["c"], sparse_value=sparse(outside("../x")))
    ),
    "list of tensors": lambda model: model.graph.node.append(
        onnx.helper.make_node("Any", [], ["c"], values=[outside()])
    ),
    "branch": lambda model: model.graph.node.append(
        onnx.helper.make_node("If", ["c"], ["d"], then_branch=inner("then"), else_branch=inner("else"))
    ),
    "list of graphs": lambda model: model.graph.node.append(
        onnx.helper.make_node("Any", [], ["c"], bodies=[inner("body")])
    ),
    "function body": lambda model: model.functions[0].node.append(
        onnx.helper.make_node("Constant", [], ["c"], value=outside())
    ),
    "default of a function's attribute": lambda model: model.functions[0].attribute_proto.append(
        onnx.helper.make_attribute("a", outside())
    ),
    "training": lambda model: model.training_info.add().algorithm.CopyFrom(inner("algorithm")),
}


@pytest.fixture(scope="module")
def head(small_bundle):
    return read_bundle(small_bundle).read("head.onnx")


@pytest.mark.parametrize("place", PLACES)
def test_weights_in_another_file(head, place):
    model = onnx.load_from_string(head)
    check_self_contained("head.onnx", model.SerializeToString())
    PLACES[place](model)
    with pytest.raises(canthus.BundleError, match=r"head\.onnx has weights in another file; a bundle holds all"):
        check_self_contained("head.onnx", model.SerializeToString())


@pytest.mark.parametrize("field", ["external_data", "data_location"])
def test_either_sign_of_it_is_enough(field):
    model = onnx.ModelProto()
    tensor = outside()
    tensor.ClearField(field)
    model.graph.initializer.append(tensor)
    with pytest.raises(canthus.BundleError, match="another file"):
        check_self_contained("x", model.SerializeToString())


def test_operators_of_other_makers(head):
    """Such as ONNX Runtime's EPContext, which reads the file that it names."""
    model = onnx.load_from_string(head)
    model.graph.node.append(
        onnx.helper.make_node("EPContext", [], ["c"], domain="com.microsoft", embed_mode=0, ep_cache_context="/x")
    )
    with pytest.raises(canthus.BundleError, match=r"an operator of the domain 'com\.microsoft'"):
        check_self_contained("head.onnx", model.SerializeToString())


@pytest.mark.parametrize(
    "command", [["verify"], ["run"], ["inspect"], ["build", "--target", "rtx"]], ids=lambda command: command[0]
)
def test_no_command_opens_such_a_bundle(small_bundle, tmp_path, command, capsys):
    """Its hashes are right: it was made so on purpose."""
    bundle = read_bundle(small_bundle)
    members = {name: bundle.read(name) for name in MEMBERS}
    model = onnx.load_from_string(members["last_frame.onnx"])
    weights = next(tensor for tensor in model.graph.initializer if len(tensor.raw_data) > 1000)
    (tmp_path / "weights.bin").write_bytes(weights.raw_data)
    weights.ClearField("raw_data")
    weights.data_location = onnx.TensorProto.EXTERNAL
    weights.external_data.add(key="location", value=str(tmp_path / "weights.bin"))
    members["last_frame.onnx"] = model.SerializeToString()
    path = str(written(bundle.manifest, members, tmp_path / "reads.canthus"))
    if command[0] == "build":
        pytest.importorskip("tensorrt_rtx_bindings")
    command = [command[0], path, *command[1:]]
    assert main([*command, "camera"] if command[0] == "run" else command) == 2
    assert "last_frame.onnx has weights in another file" in capsys.readouterr().err


@pytest.mark.parametrize(
    "graph",
    [
        b"junk",
        b"\x3a\xff",
        b"\x3a" + b"\xff" * 12,
        b"\x3b\x00",
        b"\x39abc",
        b"\x08\x0a\x12\x06ORTMab",  # ONNX Runtime's own format, for which it takes what has this in this place
        b"\x08\x0a\x12\x06TFL3ab",
        b"\x00\x00",
        b"\xfa\x01\x00",  # a field that no model has
        b"\x0a\x00",  # a number, written as bytes: how other makers' graphs begin
    ],
)
def test_what_is_no_graph(graph):
    with pytest.raises(canthus.BundleError, match=r"head\.onnx is no ONNX graph \((a|it) .*\); export"):
        check_self_contained("head.onnx", graph)


def overlong(key):
    """As C++ reads it, which drops what is above 32 bits."""
    key |= 1 << 32
    return bytes([key >> shift & 127 | (128 if shift < 28 else 0) for shift in range(0, 35, 7)])


def nested(field, content):
    return bytes([field << 3 | 2, *_varint(len(content))]) + content


def _varint(number):
    return [number] if number < 128 else [number & 127 | 128, *_varint(number >> 7)]


@pytest.mark.parametrize(
    "tensor",
    [overlong(13 << 3 | 2) + b"\x00", overlong(14 << 3) + b"\x01", b"\xea\x00\x00", b"\xf0\x00\x01", b"\x80\x01\x01"],
)
def test_fields_written_as_nobody_writes_them(tensor):
    """Runtimes would read them, each in its way."""
    for graph in (nested(5, tensor), nested(1, nested(5, nested(5, tensor)))):
        with pytest.raises(canthus.BundleError, match=r"no ONNX graph|another file"):
            check_self_contained("head.onnx", b"\x08\x0a" + nested(7, graph))


def test_fields_are_those_of_onnx():
    """But for what says how several devices share a graph."""
    names = {
        "model": "Model", "training": "TrainingInfo", "graph": "Graph", "function": "Function", "node": "Node",
        "attribute": "Attribute", "sparse tensor": "SparseTensor", "tensor": "Tensor",
    }  # fmt: skip
    for kind, name in names.items():
        fields = getattr(onnx, f"{name}Proto").DESCRIPTOR.fields_by_number
        known = {field for field in fields if not fields[field].name.endswith(("configuration", "configurations"))}
        message = MESSAGES[kind]
        assert {*message.within, *message.others} == known
        for field, inner in message.within.items():
            assert fields[field].message_type.name == f"{names[inner]}Proto"
        holds = set(names.values())
        opaque = {fields[field].message_type for field in message.others if fields[field].message_type}
        assert not any(type_.name.removesuffix("Proto") in holds for type_ in opaque)


def test_cut_anywhere_and_changed_anywhere(head):
    """It passes or is refused: nothing else is ever raised, and nothing takes long."""
    random = np.random.default_rng(0)
    start = time.monotonic()
    for place in random.integers(0, min(len(head), 4000), 400):
        changed = bytearray(head[:5000])
        changed[place] = random.integers(256)
        for graph in (bytes(changed), head[:place]):
            with contextlib.suppress(canthus.BundleError):
                check_self_contained("head.onnx", graph)
    assert time.monotonic() - start < 30
