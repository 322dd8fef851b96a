"""Calibration looks at each encoder: one whose INT8 features are bad is seen, also if the head ignores it."""

from dataclasses import replace

import numpy as np
import onnx
import pytest

import canthus
from bundles import written
from canthus.bundle import read_bundle
from canthus.cli import main
from canthus.manifest import MEMBERS
from canthus.parts import ENCODERS, HEAD, member
from canthus.verify import Golden
from canthus_calibration.encoders import FURTHEST, errors, keep_near
from canthus_calibration.layers import Layer, with_dragged
from canthus_calibration.network import Network
from canthus_calibration.subsets import Drawn
from canthus_calibration.targets import TARGETS
from canthus_calibration.telling import far, reason
from canthus_model.see.names import LIGHTINGS
from int8_bundle import make_int8

IGNORED = "last_frame"


def deaf(graph):
    """A head that reads another encoder in the place of the one that it ignores."""
    head = onnx.load_from_string(graph)
    for node in head.graph.node:
        node.input[:] = ["first_frame" if name == IGNORED else name for name in node.input]
    return head


@pytest.fixture(scope="module")
def graphs(small_bundle):
    bundle = read_bundle(small_bundle)
    own = {part: onnx.load_from_string(bundle.read(member(part))) for part in ENCODERS}
    return {**own, HEAD: deaf(bundle.read(member(HEAD)))}


@pytest.fixture(scope="module")
def clips(small_bundle):
    golden = Golden.from_bundle(read_bundle(small_bundle))
    eyes = golden.light < len(LIGHTINGS)
    light = golden.light[eyes].astype(np.int64)
    return Drawn(golden.frame[eyes], golden.event[eyes], light, np.zeros(len(light), np.int64), (), "")


@pytest.fixture(scope="module")
def calibrated(graphs, clips):
    """The network, ranges with which every encoder fares well in INT8, and its features in float32."""
    network = Network(graphs, TARGETS["x86"])
    return network, network.observe(clips, "minmax", lambda done, total: None), network.features(clips)


def spoilt(network, ranges, *names):
    """The ranges again, but what these layers read is rounded to steps a hundred times as long."""
    others = {part: dict(found) for part, found in ranges.items()}
    for layer in (layer for layer in network.layers if layer.name in names):
        for name in layer.inputs:
            found = others[layer.part][name]
            others[layer.part][name] = replace(found, low=100 * found.low, high=100 * found.high)
    return others


def test_encoders_that_fare_well_are_left_as_they_are(calibrated, clips):
    network, ranges, features = calibrated
    assert keep_near(network, ranges, [], clips, features) == ([], {})


def test_an_encoder_that_is_spoilt_while_the_head_ignores_it_is_mended(calibrated, clips):
    network, ranges, features = calibrated
    culprit = f"{IGNORED}.fc"
    bad = spoilt(network, ranges, culprit)

    def int8(part, in_float):
        return network.features_of_part(part, bad, with_dragged(network.layers, in_float), clips)

    made = {part: int8(part, []) for part in ENCODERS}
    assert np.array_equal(network.answers(made), network.answers({**made, IGNORED: features[IGNORED]}))
    off = {part: max(errors(features[part], made[part], clips.lighting).values()) for part in ENCODERS}
    assert off[IGNORED] > 2 * FURTHEST and all(off[part] < FURTHEST for part in ENCODERS if part != IGNORED)

    kept, alone = keep_near(network, bad, [], clips, features)
    assert [layer.name for layer in kept] == list(alone) == [culprit]  # and no layer more
    assert max(alone[culprit].values()) > FURTHEST
    assert max(errors(features[IGNORED], int8(IGNORED, kept), clips.lighting).values()) <= FURTHEST


def test_what_is_in_float_already_stays_and_is_not_told_again(calibrated, clips):
    network, ranges, features = calibrated
    readers = {f"{IGNORED}.blocks.2.conv1", f"{IGNORED}.blocks.2.shortcut"}  # of one activation
    bad = spoilt(network, ranges, f"{IGNORED}.fc", *readers)
    before = [layer for layer in network.layers if layer.name in (f"{IGNORED}.fc", "first_event.fc")]
    kept, alone = keep_near(network, bad, before, clips, features)
    assert len(before) == 2 and kept[:2] == before
    assert {layer.name for layer in kept[2:]} == set(alone) == readers and len(kept) == 4


def test_errors_are_of_each_lighting():
    features = np.ones((4, 10), np.float32)
    off = features + np.float32([[0], [0.1], [0.2], [0.4]])
    lighting = np.array([0, 0, 2, 2])
    assert errors(features, off, lighting) == {
        "normal": pytest.approx(0.1 / np.sqrt(2), rel=1e-5),
        "Low": pytest.approx(np.sqrt(0.1), rel=1e-5),
    }


def test_what_is_told_of_it():
    layer = Layer(f"{IGNORED}.fc", "node", ("x",), "y", 1)
    off = {layer.name: {"normal": 0.02, "HDR": 0.31}}
    costs = {layer.name: {"normal": 0.0, "HDR": 0.0}}
    told = "puts the features of last_frame 31 % off in HDR, alone"
    assert reason(layer, costs, off, [], [layer], [layer]) == told
    assert reason(layer, costs, {}, [], [layer], [layer]).startswith("moves answers' leads by 0 logits")
    found = {"first_frame": {"normal": FURTHEST}, IGNORED: {"normal": 0.02, "HDR": 0.31}}
    assert far(found) == ["last_frame: on other volunteers its features are 31 % off in HDR; the goal is 10 %"]
    assert far({IGNORED: {"Low": np.nan}})


def test_verify_names_an_int8_encoder_that_the_head_ignores(small_bundle, tmp_path, capsys):
    bundle = read_bundle(small_bundle)
    members = {name: bundle.read(name) for name in MEMBERS}
    members[member(HEAD)] = deaf(members[member(HEAD)]).SerializeToString()
    float32 = read_bundle(written(bundle.manifest, members, tmp_path / "float32.canthus"))
    int8 = read_bundle(make_int8(float32, tmp_path / "int8.canthus"))
    assert main(["verify", str(int8.path)]) == 0
    capsys.readouterr()
    model = onnx.load_from_string(int8.read(member(IGNORED)))
    (scale,) = (value for value in model.graph.initializer if value.name == "fc.weight_scale")
    less = onnx.numpy_helper.to_array(scale) * np.float32(0.8)
    scale.CopyFrom(onnx.numpy_helper.from_array(less, scale.name))
    damaged = {name: int8.read(name) for name in MEMBERS} | {member(IGNORED): model.SerializeToString()}
    assert main(["verify", str(written(int8.manifest, damaged, tmp_path / "damaged.canthus"))]) == 1
    told = capsys.readouterr().out
    assert f"\n{IGNORED}: its features are" in told
    assert not any(f"\n{part}: " in told for part in (*ENCODERS, HEAD) if part != IGNORED)
    with pytest.raises(canthus.EngineError, match=rf"{IGNORED}: its features are"):
        canthus.load(tmp_path / "damaged.canthus")
