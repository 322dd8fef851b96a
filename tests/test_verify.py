"""`canthus verify` names the part that differs, also one that the head doesn't listen to."""

from dataclasses import replace

import numpy as np
import onnx
import pytest

import canthus
from bundles import engine_of, written
from canthus.bundle import read_bundle
from canthus.cli import main
from canthus.manifest import MEMBERS
from canthus.operators import library_path
from canthus.parts import ENCODERS, HEAD, member
from canthus.runtimes.onnxruntime import OnnxRuntime
from canthus.verify import Difference, Golden, answered, features_moved


def with_members(bundle, path, **members):
    """The bundle again, some of its members being others."""
    own = {name: bundle.read(name) for name in MEMBERS}
    return written(bundle.manifest, own | {f"{name}.onnx": content for name, content in members.items()}, path)


@pytest.mark.parametrize("part", ENCODERS)
def test_an_encoder_in_the_place_of_another(small_bundle, tmp_path, capsys, part):
    bundle = read_bundle(small_bundle)
    other = ENCODERS[ENCODERS.index(part) - 1]
    swapped = with_members(bundle, tmp_path / "eye.canthus", **{part: bundle.read(member(other))})
    assert main(["verify", str(swapped)]) == 1
    told = capsys.readouterr().out
    assert f"\n{part}: its features are" in told
    assert not any(f"\n{one}: " in told for one in ENCODERS if one != part)


@pytest.mark.parametrize("part", ENCODERS)
def test_an_encoder_that_is_a_little_off(small_bundle, tmp_path, capsys, part):
    """Its weights are a hundredth too large: too little for a label."""
    bundle = read_bundle(small_bundle)
    encoder = onnx.load_from_string(bundle.read(member(part)))
    (weight,) = (value for value in encoder.graph.initializer if value.name == "fc.weight")
    more = onnx.numpy_helper.to_array(weight) * np.float32(1.01)
    weight.CopyFrom(onnx.numpy_helper.from_array(more, weight.name))
    off = with_members(bundle, tmp_path / "eye.canthus", **{part: encoder.SerializeToString()})
    assert main(["verify", str(off)]) == 1
    told = capsys.readouterr().out
    assert f"\n{part}: its features are" in told
    assert not any(f"\n{one}: " in told for one in ENCODERS if one != part)


def test_an_encoder_that_the_head_does_not_listen_to(small_bundle, tmp_path, capsys):
    bundle = read_bundle(small_bundle)
    head = onnx.load_from_string(bundle.read(member(HEAD)))
    for node in head.graph.node:
        node.input[:] = ["first_frame" if name == "last_frame" else name for name in node.input]
    deaf = read_bundle(with_members(bundle, tmp_path / "deaf.canthus", head=head.SerializeToString()))
    own = answered(engine_of(deaf, OnnxRuntime(library_path())), Golden.from_bundle(bundle))
    members = {name: deaf.read(name) for name in MEMBERS} | {"golden.npz": own.to_bytes()}
    good = written(deaf.manifest, members, tmp_path / "good.canthus")
    assert main(["verify", str(good)]) == 0
    bad = with_members(read_bundle(good), tmp_path / "bad.canthus", last_frame=bundle.read("last_event.onnx"))
    capsys.readouterr()
    assert main(["verify", str(bad)]) == 1
    told = capsys.readouterr().out
    assert "\nlast_frame: its features are" in told and "\nhead: " not in told


def test_another_head(small_bundle, tmp_path, capsys):
    bundle = read_bundle(small_bundle)
    head = onnx.load_from_string(bundle.read(member(HEAD)))
    (weight,) = (value for value in head.graph.initializer if value.name == "experts.weight")
    more = onnx.numpy_helper.to_array(weight) + np.float32(0.1)
    weight.CopyFrom(onnx.numpy_helper.from_array(more, weight.name))
    other = with_members(bundle, tmp_path / "eye.canthus", head=head.SerializeToString())
    assert main(["verify", str(other)]) == 1
    told = capsys.readouterr().out
    assert "\nhead: its answers are" in told and "explain" not in told
    assert not any(f"\n{part}: " in told for part in ENCODERS)


def narrower(graph, width):
    """An encoder that gives fewer features."""
    model = onnx.load_from_string(graph)
    for value in model.graph.initializer:
        if value.name in ("fc.weight", "fc.bias"):
            value.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(value)[:width], value.name))
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = width
    del model.graph.value_info[:]
    return model.SerializeToString()


def test_parts_that_do_not_fit_each_other_are_one_error(small_bundle, tmp_path, capsys):
    bundle = read_bundle(small_bundle)
    graph = bundle.read("last_frame.onnx")
    odd = with_members(bundle, tmp_path / "odd.canthus", last_frame=narrower(graph, 100))
    assert main(["verify", str(odd)]) == 2
    told = capsys.readouterr().err
    assert "head.onnx: ONNX Runtime fails in it" in told and told.count("\n") == 1


def test_golden_vectors_of_another_width(small_bundle, tmp_path, capsys):
    bundle = read_bundle(small_bundle)
    golden = Golden.from_bundle(bundle)
    odd = replace(golden, features=golden.features[:, :, :1]).to_bytes()
    members = {name: bundle.read(name) for name in MEMBERS} | {"golden.npz": odd}
    assert main(["verify", str(written(bundle.manifest, members, tmp_path / "odd.canthus"))]) == 1
    assert "first_frame: its features are inf off" in capsys.readouterr().out


def test_features_are_measured_by_their_size_in_the_light_that_fares_worst():
    golden = np.ones((4, 10), np.float32)
    light = np.array([0, 0, 1, 1], np.uint8)
    own = golden.copy()
    assert features_moved(own, golden, light) == 0
    own[3] += 0.1
    assert features_moved(own, golden, light) == pytest.approx(0.1 / np.sqrt(2), rel=1e-5)
    assert features_moved(100 * own, 100 * golden, light) == pytest.approx(0.1 / np.sqrt(2), rel=1e-5)
    assert features_moved(own, 0 * golden, light) == np.inf and features_moved(0 * own, 0 * golden, light) == 0
    own[0, 0] = np.nan
    assert features_moved(own, golden, light) == np.inf


def test_what_is_no_number_is_wrong():
    allowed = Difference(0.1, dict.fromkeys(ENCODERS, 0.1))
    assert not replace(allowed, answers=0.1).wrong(allowed)
    assert set(Difference(np.nan, {**allowed.features, "last_event": np.nan}).wrong(allowed)) == {"last_event", HEAD}


def test_what_differs_is_not_loaded(small_bundle, tmp_path):
    """Of float16 and INT8 bundles, which are checked when they are loaded."""
    bundle = read_bundle(small_bundle)
    members = {name: bundle.read(name) for name in MEMBERS} | {"first_event.onnx": bundle.read("first_frame.onnx")}
    swapped = written(replace(bundle.manifest, precision="float16"), members, tmp_path / "eye.canthus")
    with pytest.raises(canthus.EngineError, match=r"first_event: its features are .*; export it for this device"):
        canthus.load(swapped)
