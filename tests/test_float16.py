"""A float16 bundle: encoders in float16, everything else as in float32, and what doesn't fit is refused by name."""

import copy
import json
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, numpy_helper

import canthus
from bundles import engine_of, written
from canthus.cli import main
from canthus.manifest import MEMBERS
from canthus.operators import library_path
from canthus.parts import ENCODERS, HEAD, member
from canthus.runtimes.onnxruntime import OnnxRuntime
from canthus.verify import FEATURES_TOLERANCE, TOLERANCE, Golden, allowed, replay
from canthus_exporter.export import export
from canthus_exporter.float16 import Rounding
from canthus_exporter.int8 import Int8
from canthus_exporter.parity import FLOAT16_LIMIT, verify_float16
from canthus_model.checkpoint import load_network


@pytest.fixture(scope="module")
def float16_bundle(small_checkpoint, annotation, tmp_path_factory):
    path = tmp_path_factory.mktemp("float16") / "eye.canthus"
    arguments = [str(small_checkpoint), "--annotation", str(annotation), "--precision", "float16", "-o", str(path)]
    assert main(["export", *arguments]) == 0
    return path


def initializers(bundle, part):
    return {one.name: one for one in onnx.load_from_string(bundle.read(member(part))).graph.initializer}


def test_manifest(float16_bundle):
    manifest = canthus.read_bundle(float16_bundle).manifest
    assert (manifest.precision, manifest.target, manifest.calibration) == ("float16", "any", None)
    parity = manifest.parity
    assert set(parity) == {
        "folded",
        "float16",
        "operators",
        "portable",
        "agreement",
        "tolerance",
        "tolerance of features",
    }
    assert 0 < parity["folded"] <= TOLERANCE
    worst = max(parity[way] for way in ("float16", "operators", "portable"))
    assert parity["folded"] < worst <= FLOAT16_LIMIT
    assert parity["agreement"] == 100
    limits = allowed(manifest)
    assert limits.answers == parity["tolerance"] == max(TOLERANCE, 4 * worst)
    assert set(limits.features.values()) == {parity["tolerance of features"]}
    assert FEATURES_TOLERANCE <= parity["tolerance of features"] < 0.05


def test_the_encoders_are_float16_and_the_head_is_as_in_float32(float16_bundle, small_bundle):
    float16, float32 = canthus.read_bundle(float16_bundle), canthus.read_bundle(small_bundle)
    for part in ENCODERS:
        found, expected = initializers(float16, part), initializers(float32, part)
        layers = {name for name in expected if name.startswith(("conv1.", "blocks.", "fc."))}
        assert len(layers) == 2 * 21
        for name in layers:
            assert found[name].data_type == TensorProto.FLOAT16
            assert len(found[name].raw_data) * 2 == len(expected[name].raw_data)
    assert float16.read(member(HEAD)) == float32.read(member(HEAD))


def test_every_layer_computes_in_float16_and_the_signature_stays(float16_bundle, small_bundle):
    for part in ENCODERS:
        model, same = (
            onnx.load_from_string(canthus.read_bundle(path).read(member(part)))
            for path in (float16_bundle, small_bundle)
        )
        assert list(model.graph.input) == list(same.graph.input)
        assert list(model.graph.output) == list(same.graph.output)
        types = {value.name: value.type.tensor_type.elem_type for value in model.graph.value_info}
        layers = [node for node in model.graph.node if node.op_type in ("Conv", "Gemm", "MaxPool")]
        assert len(layers) == 20 + 1 + 1
        for node in layers:
            assert types[node.input[0]] == types[node.output[0]] == TensorProto.FLOAT16


def test_it_is_about_half_as_large(float16_bundle, small_bundle):
    sizes = [len(canthus.read_bundle(path).read("first_frame.onnx")) for path in (float16_bundle, small_bundle)]
    assert 0.5 < sizes[0] / sizes[1] < 0.55


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("operators", [library_path(), None], ids=["operators", "portable"])
def test_it_answers_nearly_as_float32(float16_bundle, small_bundle, threads, operators):
    frame, event = np.random.default_rng(0).integers(0, 256, (2, 3, 100, 100), np.uint8)
    answers = []
    for path in (float16_bundle, small_bundle):
        bundle = canthus.read_bundle(path)
        engine = engine_of(bundle, OnnxRuntime(operators), threads)
        first = engine.prime(frame, event)
        assert first.frame.dtype == first.event.dtype == np.float32
        answers.append(engine.react(frame, event, first).logits)
    difference = np.abs(answers[0] - answers[1]).max()
    assert 0 < difference <= allowed(canthus.read_bundle(float16_bundle).manifest).answers


def test_verify_and_inspect(float16_bundle, capsys):
    assert main(["verify", str(float16_bundle)]) == 0
    assert "ok: this machine computes what the checkpoint computed" in capsys.readouterr().out
    assert main(["inspect", str(float16_bundle)]) == 0
    told = capsys.readouterr().out
    assert "M parameters, float16" in told and "agreement 100 %" in told
    assert main(["inspect", str(float16_bundle), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["precision"] == "float16"


def test_another_network_fails_verify(float16_bundle, tmp_path, capsys):
    """The tolerance for float16 still tells networks apart: one channel of one layer is missing."""
    bundle = canthus.read_bundle(float16_bundle)
    model = onnx.load_from_string(bundle.read("last_event.onnx"))
    (weight,) = (one for one in model.graph.initializer if one.name == "blocks.0.conv1.weight")
    values = numpy_helper.to_array(weight).copy()
    values[0] = 0
    weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    members = {name: bundle.read(name) for name in MEMBERS} | {"last_event.onnx": model.SerializeToString()}
    written(bundle.manifest, members, tmp_path / "other.canthus")
    assert main(["verify", str(tmp_path / "other.canthus")]) == 1
    told = capsys.readouterr().out
    assert "\nlast_event: its features are" in told and "FAILED" in told and "\nfirst_event:" not in told


def test_a_float32_bundle_gets_no_tolerance_from_its_manifest(small_bundle):
    manifest = canthus.read_bundle(small_bundle).manifest
    limits = allowed(replace(manifest, parity={"tolerance": 1e9, "tolerance of features": 1e9}))
    assert limits.answers == TOLERANCE and set(limits.features.values()) == {FEATURES_TOLERANCE}


def saved(network, folder):
    torch.save({"epoch": 1, "state_dict": network.state_dict()}, folder / "network.pth")
    return folder / "network.pth"


def scaled(network, factor):
    """The same network in real arithmetic: a layer gives `factor` times as much, and the next expects it."""
    network = copy.deepcopy(network)
    block = network.res10.resnet.layer2[0]  # first_event.blocks.2
    block.bn1.weight.data *= factor
    block.bn1.bias.data *= factor
    block.conv2.weight.data /= factor
    return network


@pytest.mark.parametrize(
    "factor, message",
    [
        (1e8, r"first_event\.blocks\.2\.conv1: its weight reaches .*, and float16 ends at 65504"),
        (1e-8, r"first_event\.blocks\.2\.conv2: its weight reaches .*, and float16 ends at 65504"),
        (1e5, r"first_event\.blocks\.2\.conv1: its activations reach .* should stay below 4094"),
    ],
    ids=["weight", "next weight", "activation"],
)
def test_what_float16_can_not_hold_is_refused(small_network, annotation, tmp_path, factor, message):
    checkpoint = saved(scaled(small_network, factor), tmp_path)
    with pytest.raises(canthus.ExportError, match=message):
        export(checkpoint, annotation, tmp_path / "eye.canthus", float16=True)
    assert list(tmp_path.iterdir()) == [checkpoint]


def test_what_float16_moves_too_far_is_refused(annotation, tmp_path):
    """Weights so small that float16 has few bits for them, or none."""
    trained = load_network(annotation.with_name("small.pth"), (100, 133))
    checkpoint = saved(scaled(trained, 1e-5), tmp_path)
    message = (
        r"in float16 the network's logits .* more than 0\.05: .* Most is rounded in first_event\.blocks\.2\.conv1, "
        r"whose activations are 2\.\d % off"
    )
    with pytest.raises(canthus.ExportError, match=message):
        export(checkpoint, annotation, tmp_path / "eye.canthus", (100, 133), float16=True)
    assert list(tmp_path.iterdir()) == [checkpoint]


@pytest.mark.parametrize("part", ENCODERS)
def test_an_encoder_that_float16_moves_too_far_is_refused(small_bundle, monkeypatch, part):
    """Also one that the head ignores: here no answer changes."""
    bundle = canthus.read_bundle(small_bundle)
    golden = Golden.from_bundle(bundle)
    features = golden.features.copy()
    features[:, ENCODERS.index(part)] *= 1.05
    monkeypatch.setattr("canthus_exporter.parity.answered", lambda engine, golden: replace(golden, features=features))
    message = rf"in float16 the features of {part} are up to 5 % off, more than 3 %: no bundle was written"
    with pytest.raises(canthus.ExportError, match=message):
        verify_float16({"float16": lambda: None}, golden, Rounding("fc", 0.05, 0.05))
    features[:, ENCODERS.index(part)] *= 1.02 / 1.05
    assert verify_float16({"float16": lambda: None}, golden, Rounding("fc", 0.05, 0.05))["agreement"] == 100


def test_options_for_int8_are_refused(small_checkpoint, annotation, tmp_path, capsys):
    arguments = [str(small_checkpoint), "--annotation", str(annotation), "-o", str(tmp_path / "eye.canthus")]
    assert main(["export", *arguments, "--precision", "float16", "--target", "x86"]) == 2
    assert "--target: only for INT8" in capsys.readouterr().err
    with pytest.raises(canthus.ExportError, match="one precision"):
        export(small_checkpoint, annotation, tmp_path / "eye.canthus", int8=Int8(), float16=True)
    assert list(tmp_path.iterdir()) == []


def test_golden_answers_are_the_checkpoint_s(float16_bundle, small_bundle):
    float16, float32 = (Golden.from_bundle(canthus.read_bundle(path)) for path in (float16_bundle, small_bundle))
    assert np.array_equal(float16.logits, float32.logits)
    engine = canthus.load(small_bundle)
    assert replay(engine, float16).answers <= TOLERANCE
