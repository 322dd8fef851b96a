"""INT8 from end to end: a checkpoint and a data set become an INT8 bundle and a report of what that costs."""

import json
import re
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest

import canthus.calibration
import canthus_calibration.calibrate as calibrating
from canthus.cli import main
from canthus.parts import ENCODERS, member
from canthus.runtimes.onnxruntime import open_session
from canthus.verify import features_moved
from canthus_calibration import encoders, telling
from canthus_calibration.fallback import Goal, fewest_in_float
from canthus_calibration.kept_weights import shrink_weights
from canthus_calibration.layers import Layer, with_dragged
from canthus_calibration.network import Network, answers_of, features_of
from canthus_calibration.subsets import Drawn, decode
from canthus_calibration.targets import TARGETS
from canthus_model.see.dataset import open_see
from canthus_model.see.names import LIGHTINGS

CLIPS = 28


def export(checkpoint, see, output, *options):
    arguments = ["export", str(checkpoint), "--annotation", str(see / "emotion.json"), "--image-size", "100x133"]
    arguments += ["--precision", "int8", "--see", str(see), "--clips", str(CLIPS), "-o", str(output), *options]
    return main(arguments)


@pytest.fixture(scope="module")
def exported(small_checkpoint, calibration_see, tmp_path_factory):
    folder = tmp_path_factory.mktemp("int8")
    page = folder / "calibration.html"
    assert export(small_checkpoint, calibration_see, folder / "eye.canthus", "--report", str(page)) == 0
    return folder / "eye.canthus"


@pytest.fixture(scope="module")
def float_graphs(small_bundle):
    bundle = canthus.read_bundle(small_bundle)
    return {part: onnx.load_from_string(graph) for part, graph in bundle.graphs().items()}


@pytest.fixture(scope="module")
def drawn(calibration_see):
    see = open_see(calibration_see, "training")
    clips = decode(see, [(0, place) for place in range(len(see.sequences))], workers=0)
    size = (100, 100)  # of the small bundle's images
    frame, event = (images[:, :, : size[0], : size[1]].copy() for images in (clips.frame, clips.event))
    return Drawn(frame, event, clips.lighting, clips.label, clips.names, clips.sha256)


def test_the_bundle_tells_what_int8_costs(exported):
    manifest = canthus.read_bundle(exported).manifest
    assert (manifest.precision, manifest.target) == ("int8", "x86")
    calibration = manifest.calibration
    assert calibration.clips == dict.fromkeys(LIGHTINGS, CLIPS // 4)
    assert set(calibration.costs) == set(LIGHTINGS)
    assert calibration.layers + len(calibration.float_layers) == 4 * (20 + 8 + 1)
    for cost in calibration.costs.values():
        assert cost.clips == 20 * 7
        assert 0 < cost.divergence <= cost.worst_divergence < 0.1
        assert cost.agreement > 90
        assert cost.agreement_low < cost.agreement <= cost.agreement_high <= 100
        assert (cost.sequences, cost.volunteers) == (7, 7) and cost.uar_loss_low <= cost.uar_loss
    assert set(calibration.features) == set(ENCODERS)


def test_the_bundle_tells_of_its_modalities(exported, capsys):
    """That nothing follows of them here; tests/test_modalities.py has what does."""
    modalities = canthus.read_bundle(exported).manifest.modalities
    assert (modalities.clips, modalities.volunteers) == (20 * 28, 28)
    assert set(modalities.lighting_uar) == set(LIGHTINGS)
    for exchanged in modalities.exchanged.values():
        assert exchanged.verdict == "unknown" and "28 sequences of 28 volunteers are too few" in exchanged.why
    assert main(["inspect", str(exported)]) == 0
    assert "frames of others" in capsys.readouterr().out


def test_the_bundle_answers_nearly_as_float32(exported, small_checkpoint, calibration_see, tmp_path):
    """The costs in the manifest are those of the graphs in the bundle, measured here by another way."""
    output = tmp_path / "float.canthus"
    arguments = [str(small_checkpoint), "--annotation", str(calibration_see / "emotion.json"), "-o", str(output)]
    assert main(["export", *arguments, "--image-size", "100x133"]) == 0
    int8, float32 = canthus.load(exported), canthus.load(output)
    see = open_see(calibration_see, "testing")
    clips = decode(see, [(0, place) for place in range(len(see.sequences))], workers=0)
    answers = []
    for engine in (float32, int8):
        first = engine.prime(clips.frame[:, 0], clips.event[:, 0])
        answers.append(engine.react(clips.frame[:, 1], clips.event[:, 1], first).probabilities)
    apart = np.abs(answers[0] - answers[1]).max()
    assert 0 < apart < 0.2
    features = [
        features_of(
            {part: onnx.load_from_string(graph) for part, graph in canthus.read_bundle(path).graphs().items()}, clips
        )
        for path in (output, exported)
    ]
    told = canthus.read_bundle(exported).manifest.calibration.features
    for part in ENCODERS:
        off = features_moved(features[1][part], features[0][part], clips.lighting.astype(np.uint8))
        assert off == pytest.approx(told[part], rel=0.3) and off > 0  # of one clip of each sequence, not of 20
    assert exported.stat().st_size < 0.5 * output.stat().st_size


def test_no_float_image_exists(exported):
    """A raw image is the code that the first convolution reads."""
    for part in ENCODERS:
        graph = onnx.load_from_string(canthus.read_bundle(exported).read(member(part))).graph
        (axis,) = [node for node in graph.node if "image" in node.input]
        (dequantise,) = [node for node in graph.node if axis.output[0] in node.input]
        assert (axis.op_type, dequantise.op_type) == ("Unsqueeze", "DequantizeLinear")


def test_convolutions_run_in_integers(exported, tmp_path):
    """ONNX Runtime fuses every quantised layer: none is left as a float convolution between Q and DQ."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 4
    onnxruntime.InferenceSession(
        canthus.read_bundle(exported).read("first_event.onnx"), options, providers=["CPUExecutionProvider"]
    )
    names = [node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node]
    kept = sum(
        name.startswith("first_event.") for name in canthus.read_bundle(exported).manifest.calibration.float_layers
    )
    assert names.count("QLinearConv") >= 20 - 3 * kept
    assert kept or "Conv" not in names


def test_the_heads_matrices_are_int8_and_what_they_multiply_is_not(exported):
    """The same numbers as float32's, to half a step of the 127 of each row; the float32 bundle's are as they were."""
    graph = onnx.load_from_string(canthus.read_bundle(exported).read("head.onnx")).graph
    constants = {value.name: onnx.numpy_helper.to_array(value) for value in graph.initializer}
    made = {name for node in graph.node for name in node.output}
    head = {node.op_type: node for node in graph.node if node.domain == "canthus"}
    for op_type, place in (("Mcib", 5), ("RoutedExperts", 1), ("RoutedExperts", 6)):
        weight, scale = (constants[name] for name in head[op_type].input[place : place + 2])
        assert weight.dtype == np.int8 and np.abs(weight).max(1).min() == 127 and (scale != 1).all()
        assert head[op_type].input[0] in made and "Dequantize" not in head[op_type].input[0]


def test_inspect_verify_run(exported, recording, capsys):
    assert main(["inspect", str(exported)]) == 0
    told = capsys.readouterr().out
    assert re.search(r"INT8 in Low .*answered as in float32", told)
    assert main(["inspect", "--json", str(exported)]) == 0
    assert json.loads(capsys.readouterr().out)["calibration"]["costs"]["HDR"]["clips"] == 20 * 7
    assert main(["verify", str(exported)]) == 0
    assert "exported INT8 network" in capsys.readouterr().out
    assert main(["run", str(exported), str(recording)]) == 0


def test_verify_fails_for_another_network(exported, small_bundle, monkeypatch, capsys):
    """The tolerance for INT8 is still one that tells networks apart."""
    from canthus import verify

    def other(golden):
        return lambda bundle: replace(golden, logits=golden.logits[::-1].copy())

    golden = verify.Golden.from_bundle(canthus.read_bundle(exported))
    monkeypatch.setattr("canthus.cli.verify.Golden.from_bundle", other(golden))
    assert main(["verify", str(exported)]) == 1
    assert "FAILED" in capsys.readouterr().out


def test_the_page_shows_every_layer_in_every_lighting(exported):
    page = exported.with_name("calibration.html").read_text()
    assert page.count("<svg") >= 4 * 28
    assert re.search(r"Features are off, .*: first_frame \d\.\d %, first_event \d\.\d %, last_frame", page)
    assert "last_event.fc" in page and "first_event.blocks.3.sum" in page
    assert all(page.count(name) >= 3 for name in LIGHTINGS)
    assert "<script" not in page and "http" not in page


def test_nothing_is_left_but_the_bundle_and_the_page(exported):
    assert {path.name for path in exported.parent.iterdir()} == {"eye.canthus", "calibration.html"}


@pytest.mark.parametrize("target", TARGETS)
def test_every_target(float_graphs, drawn, target):
    network = Network(float_graphs, TARGETS[target])
    ranges = network.observe(drawn, "percentile", lambda done, total: None)
    int8 = network.quantised(ranges)
    kinds = {True: onnx.TensorProto.INT8, False: onnx.TensorProto.UINT8}
    for graph in (int8[part] for part in ENCODERS):
        constants = {value.name: value for value in graph.graph.initializer}
        points = [constants[n.input[2]] for n in graph.graph.node if n.op_type == "QuantizeLinear"]
        assert {point.data_type for point in points} == {kinds[TARGETS[target].signed]}
        if TARGETS[target].symmetric:
            assert not any(onnx.numpy_helper.to_array(point).any() for point in points)
    apart = np.abs(answers_of(int8, drawn) - answers_of(float_graphs, drawn)).max()
    assert 0 < apart < 0.3


def test_tensorrt_gets_no_integers_but_between_quantise_and_dequantise(float_graphs, drawn):
    """It refuses to cast int8 constants and to dequantise int32 ones; x86 is to have both, small and fast."""
    found = {}
    for target in ("x86", "tensorrt"):
        network = Network(float_graphs, TARGETS[target])
        ranges = network.observe(drawn, "percentile", lambda done, total: None)
        dense = [layer for layer in network.layers if layer.name.endswith(".fc")]
        for name, model in network.quantised(ranges, dense).items():
            kinds = {value.name: value.data_type for value in model.graph.initializer}
            reads = {(n.op_type, kinds[i]) for n in model.graph.node for i in n.input if i in kinds}
            biases = [n.input[2] for n in model.graph.node if n.op_type == "Conv"]
            found[target, name] = reads, [kinds.get(bias) for bias in biases]
    types = onnx.TensorProto
    for name in ENCODERS:
        reads, biases = found["tensorrt", name]
        assert {op for op, kind in reads if kind == types.INT8} == {"DequantizeLinear", "QuantizeLinear"}
        assert {op for op, kind in reads if kind == types.FLOAT16} == {"Cast"}
        assert not [op for op, kind in reads if kind == types.INT32] and set(biases) == {types.FLOAT}
        reads, biases = found["x86", name]
        assert ("DequantizeLinear", types.INT32) in reads and ("Cast", types.INT8) in reads
        assert set(biases) == {None}  # made by DequantizeLinear
    assert ("Mcib", types.INT8) in found["x86", "head"][0]


def test_whole_means_change_nothing_but_padding(float_graphs):
    """Away from the border, the first convolution gives what it gave."""
    feed = {"image": np.random.default_rng(0).integers(0, 256, (1, 100, 100), np.uint8)}
    outputs = []
    for graphs in (float_graphs, Network(float_graphs, TARGETS["x86"]).graphs):
        outputs.append([])
        for part in ("first_frame", "first_event"):
            shown = onnx.ModelProto()
            shown.CopyFrom(graphs[part])
            (first,) = [node.output[0] for node in shown.graph.node if "conv1.weight" in node.input]
            shown.graph.output.append(onnx.helper.make_tensor_value_info(first, onnx.TensorProto.FLOAT, None))
            outputs[-1] += open_session(part, shown.SerializeToString(), 1, None).run([first], feed)
    for before, after in zip(*outputs, strict=True):
        inside = np.s_[:, :, 2:-2, 2:-2]
        assert np.abs(before - after)[inside].max() < 1e-4 * np.abs(before).max()
        assert np.abs(before - after).max() > 0


def test_every_layer_alone_changes_little_and_some(float_graphs, drawn):
    network = Network(float_graphs, TARGETS["x86"])
    features = network.features(drawn)
    ranges = network.observe(drawn, "percentile", lambda done, total: None)
    answers = network.answers(features)
    for layer in network.layers[::13]:
        apart = np.abs(network.with_only(layer, ranges, drawn, features) - answers).max()
        assert 0 < apart < 0.2, layer.name


LAYERS = [Layer(f"first_frame.{number}", str(number), (), f"result {number}", 1) for number in range(20)]
# Each costs twice what the one before does: within a factor of two, the one that runs first comes first.
COSTS = {layer.name: {"Low": 2.0**place if place else 0.0} for place, layer in enumerate(LAYERS)}


@pytest.mark.parametrize("needed", [0, 1, 2, 7, 19, 20])
def test_fallback_keeps_as_few_as_needed(needed):
    trials = []

    def enough(in_float):
        trials.append(len(in_float))
        return len(in_float) >= needed

    kept = fewest_in_float(LAYERS, COSTS, [], enough)
    assert [layer.name for layer in kept] == [f"first_frame.{19 - place}" for place in range(needed)]
    assert len(trials) <= 5 and len(trials) == len(set(trials))


def test_layers_whose_result_is_read_unrounded_are_dragged_along(float_graphs):
    layers = {layer.name: layer for layer in Network(float_graphs, TARGETS["x86"]).layers}

    def dragged(name):
        return {layer.name for layer in with_dragged(list(layers.values()), [layers[name]])}

    assert dragged("first_event.blocks.1.conv1") == {"first_event.blocks.1.conv1"}
    assert dragged("first_event.blocks.0.conv1") == {"first_event.blocks.0.conv1", "first_event.conv1"}
    block = {f"last_frame.blocks.2.{name}" for name in ("conv1", "conv2", "shortcut", "sum")}
    assert dragged("last_frame.blocks.2.sum") == block
    assert dragged("last_event.fc") == {"last_event.fc"}


def test_of_layers_that_cost_about_the_same_the_first_goes_first():
    """Else how a processor adds up floats would choose."""
    costs = {layer.name: {"Low": 1.0 + 0.01 * place} for place, layer in enumerate(LAYERS)}
    for _ in range(2):
        kept = fewest_in_float(LAYERS, costs, [], lambda in_float: len(in_float) >= 3)
        assert [layer.name for layer in kept] == ["first_frame.0", "first_frame.1", "first_frame.2"]
        costs = {name: {"Low": 2.0 - cost["Low"] + 0.5} for name, cost in costs.items()}


def test_layers_without_a_range_stay_in_float():
    must = [LAYERS[0]]
    assert fewest_in_float(LAYERS, COSTS, must, lambda in_float: True) == must
    kept = fewest_in_float(LAYERS, COSTS, must, lambda in_float: len(in_float) >= 3)
    assert [layer.name for layer in kept] == ["first_frame.0", "first_frame.19", "first_frame.18"]


def test_goal_that_needs_float_is_met_and_told(small_checkpoint, calibration_see, tmp_path, monkeypatch):
    """Goals that INT8 can't hold everywhere leave layers in float, and the bundle says which and why."""
    monkeypatch.setattr(encoders, "FURTHEST", 0.01)
    trials = 0
    compare = calibrating.compare

    def strict(*arguments):
        nonlocal trials
        trials += 1
        costs = compare(*arguments)
        good = trials > 1  # with half of the layers in float too much is lost, and not with more
        return costs if good else {name: type(c)(**{**vars(c), "uar_loss_low": 50.0}) for name, c in costs.items()}

    monkeypatch.setattr(calibrating, "compare", strict)
    assert export(small_checkpoint, calibration_see, tmp_path / "eye.canthus") == 0
    kept = canthus.read_bundle(tmp_path / "eye.canthus").manifest.calibration.float_layers
    assert kept
    reason = (
        r"moves answers' leads by \S+ logits in \w+, alone|puts the features of \w+ \S+ % off in \w+, alone|"
        r"its result is read by (first|last)_(frame|event)\.\S+"
    )
    assert all(re.fullmatch(reason, found) for found in kept.values())
    assert any(found.startswith("moves") for found in kept.values())
    assert any(found.startswith("puts the features") for found in kept.values())
    canthus.load(tmp_path / "eye.canthus")


def test_stopped_and_begun_again(small_checkpoint, calibration_see, tmp_path, monkeypatch, capsys):
    """Ctrl-C loses nothing that was measured, and leaves no bundle."""
    weighed = []
    with_only = Network.with_only

    def counted(self, layer, *arguments, narrow):
        if layer.name == "first_event.blocks.3.conv1" and "interrupted" not in weighed:
            weighed.append("interrupted")
            raise KeyboardInterrupt
        weighed.append((layer.name, narrow))
        return with_only(self, layer, *arguments, narrow=narrow)

    monkeypatch.setattr(Network, "with_only", counted)
    output = tmp_path / "eye.canthus"
    assert export(small_checkpoint, calibration_see, output) == 130
    assert [path.name for path in tmp_path.iterdir()] == ["eye.canthus.calibrating"]
    monkeypatch.setattr(Network, "observe", None)  # what was observed is not observed again
    assert export(small_checkpoint, calibration_see, output) == 0
    names = [name for name in weighed if name != "interrupted"]
    assert len(names) == len(set(names)) == 4 * (29 + 21)  # with weights of 7 bits, too; sums have none
    assert [path.name for path in tmp_path.iterdir()] == ["eye.canthus"]


def test_a_journal_of_something_else_is_begun_anew(tmp_path):
    from canthus_calibration.journal import Journal

    path = tmp_path / "x.calibrating"
    Journal(path, "one").put("ranges", [1])
    assert Journal(path, "one").get("ranges") == [1]
    assert Journal(path, "two").get("ranges") is None
    path.write_text("[")
    assert Journal(path, "two").get("ranges") is None


def test_a_constant_activation_is_told_and_kept_in_float(float_graphs, drawn):
    network = Network(float_graphs, TARGETS["x86"])
    ranges = network.observe(drawn, "percentile", lambda done, total: None)
    layer = network.layers[5]
    found = ranges[layer.part][layer.inputs[0]]
    ranges[layer.part][layer.inputs[0]] = type(found)(0, 1, (None,) * 4, (0.0,) * 4)
    see = type("See", (), {"labels": tuple("abcdefg"), "sequences": ()})
    warnings, must = calibrating._odd(network.layers, ranges, see, drawn)
    assert layer in must
    assert any(w.startswith(f"{layer.name}: reads the same value all over in normal, ") for w in warnings)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--precision", "int8"], "--precision int8 needs --see DIR"),
        (["--target", "x86"], "--target: only for INT8; add --precision int8"),
        (["--precision", "int8", "--see", "SEE", "--clips", "116"], r"normal has 7, .* --clips 28 or fewer"),
    ],
)
def test_bad_options(small_checkpoint, calibration_see, tmp_path, capsys, options, message):
    options = [str(calibration_see) if option == "SEE" else option for option in options]
    annotation = str(calibration_see / "emotion.json")
    output = tmp_path / "eye.canthus"
    arguments = ["export", str(small_checkpoint), "--annotation", annotation, "--image-size", "100x133"]
    assert main([*arguments, "-o", str(output), *options]) == 2
    assert re.search(message, capsys.readouterr().err)
    assert not list(tmp_path.iterdir())


def test_other_labels_than_the_checkpoints(small_checkpoint, calibration_see, tmp_path, capsys):
    labels = json.loads((calibration_see / "emotion.json").read_text())["labels"]
    (tmp_path / "emotion.json").write_text(json.dumps({"labels": labels[::-1]}))
    arguments = ["export", str(small_checkpoint), "--annotation", str(tmp_path / "emotion.json")]
    arguments += ["--image-size", "100x133", "--precision", "int8", "--see", str(calibration_see)]
    assert main([*arguments, "-o", str(tmp_path / "eye.canthus")]) == 2
    assert "give the data set that it was trained with" in capsys.readouterr().err


def test_a_fifth_lighting(small_checkpoint, calibration_see, tmp_path, capsys):
    document = json.loads((calibration_see / "emotion.json").read_text())
    name = next(iter(document["database"]))
    document["database"][name.replace("normal", "Dusk")] = document["database"].pop(name)
    for kind in ("frame", "event"):
        (tmp_path / kind).symlink_to(calibration_see / kind)
    (tmp_path / "emotion.json").write_text(json.dumps(document))
    assert export(small_checkpoint, tmp_path, tmp_path / "eye.canthus") == 2
    error = capsys.readouterr().err
    assert "Dusk" in error and "normal, Overexposed, Low, HDR" in error


def test_open_session_as_written_fuses_nothing(float_graphs):
    feed = {"image": np.zeros((1, 100, 100), np.uint8)}
    graph = float_graphs["first_frame"].SerializeToString()
    one, other = (open_session("first_frame", graph, 1, None, as_written=w).run(None, feed)[0] for w in (False, True))
    assert np.abs(one - other).max() < 1e-3


def test_layers_in_float_keep_small_weights_and_answer_as_before(float_graphs, drawn):
    network = Network(float_graphs, TARGETS["x86"])
    shrunk = network.quantised({name: {} for name in float_graphs}, network.layers)
    kept = {i.name.rpartition(".")[2]: i.data_type for graph in shrunk.values() for i in graph.graph.initializer}
    assert kept["float16"] == onnx.TensorProto.FLOAT16 and kept["int8"] == onnx.TensorProto.INT8
    size, before = (sum(len(g.SerializeToString()) for g in graphs.values()) for graphs in (shrunk, network.graphs))
    assert size < 0.55 * before
    few = answers_of(network.graphs, drawn), answers_of(shrunk, drawn)
    assert 0 < np.abs(few[0] - few[1]).max() < 5e-3


@pytest.mark.parametrize(
    "kind, int8, dtype, within",
    [("Gemm", True, np.int8, 1 / 254), ("Gemm", False, np.float16, 2**-11), ("Conv", True, np.float16, 2**-11)],
)
def test_kept_weights_of_any_size_are_as_near_as_their_type_allows(kind, int8, dtype, within):
    weights = np.array([[2e5, -3.0], [0.5, 6e4], [0.0, 0.0]], np.float32)
    kernel = weights if kind == "Gemm" else weights[..., np.newaxis, np.newaxis]
    columns = np.eye(2, dtype=np.float32).reshape(2, 2, *kernel.shape[2:])
    node = onnx.helper.make_node(kind, ["x", "w"], ["y"], "layer", **({"transB": 1} if kind == "Gemm" else {}))
    values = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in "xy"]
    initializer = onnx.numpy_helper.from_array(kernel, "w")
    graph = onnx.helper.make_graph([node], "wide", values[:1], values[1:], [initializer])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10)
    shrink_weights(model, {"layer"}, int8=int8)
    assert onnx.numpy_helper.to_array(model.graph.initializer[0]).dtype == dtype
    y = open_session("wide", model.SerializeToString(), 1, None).run(None, {"x": columns})[0]
    largest = np.abs(weights).max(1)
    assert (np.abs(y.reshape(2, 3) - weights.T) <= within * largest * 1.001).all()


COST = canthus.calibration.Cost(1000, 99.5, 1e-5, 1e-3, 80.0, 79.8, 80.0, 79.8, 99.1, 99.8, 0.1, 100, 10)


def test_a_goal_is_missed_by_what_is_certain_and_shown_by_the_lower_end():
    assert Goal(99.0, 0.3).shown(COST) and not Goal(99.0, 0.3).missed(COST)
    open_goal = Goal(99.4, 0.3)
    assert not open_goal.shown(COST) and not open_goal.missed(COST)
    for goal in (Goal(99.9, 0.3), Goal(99.0, 0.05)):
        assert goal.missed(COST) and not goal.shown(COST)
    of_one_volunteer = replace(COST, agreement_low=None, agreement_high=None, uar_loss_low=None)
    assert not Goal(99.0, 0.3).missed(of_one_volunteer) and not Goal(99.0, 0.3).shown(of_one_volunteer)


@pytest.mark.parametrize(
    "goal, told",
    [
        (99.0, []),
        (
            99.2,
            [
                "Low: on other volunteers 99.5 % (99.1 to 99.8) are answered as in float32; the goal is 99.2 %, and to "
                "show that it is held takes some 159 sequences; there are 100, of 10 volunteers"
            ],
        ),
        (
            99.7,
            [
                "Low: on other volunteers 99.5 % (99.1 to 99.8) are answered as in float32; the goal is 99.7 %, and "
                "100 sequences of 10 volunteers can't say whether it is missed"
            ],
        ),
        (
            99.9,
            [
                "Low: on other volunteers 99.5 % (99.1 to 99.8) are answered as in float32 and UAR changes by -0.2 "
                "points; the goal is 99.9 % and no more than 0.3 lost"
            ],
        ),
    ],
)
def test_too_few_people_are_told_with_how_many_it_takes(goal, told):
    assert telling.doubts({"Low": COST}, Goal(goal, 0.3)) == told


def test_what_missed_its_goal_is_said_on_the_console(small_checkpoint, calibration_see, tmp_path, monkeypatch, capsys):
    """And so is INT8 in name: here all encoders but a layer stay in float; and an encoder that is far off."""
    monkeypatch.setattr(telling, "FURTHEST", 0.0)
    monkeypatch.setattr(
        calibrating, "fewest_in_float", lambda layers, *_: [one for one in layers if not one.name.endswith("frame.fc")]
    )
    assert export(small_checkpoint, calibration_see, tmp_path / "eye.canthus", "--agreement", "100") == 0
    told = capsys.readouterr().err
    for lighting in LIGHTINGS:
        assert re.search(rf"warning +{lighting}: on other volunteers .* the goal is 100 %", told)
    assert re.search(r"warning +INT8 in little more than name: of the encoders' work \d+ % is in INT8", told)
    for part in ENCODERS:
        assert re.search(rf"warning +{part}: on other volunteers its features are \S+ % off in \w+; the goal is", told)
    calibration = canthus.read_bundle(tmp_path / "eye.canthus").manifest.calibration
    assert calibration.goal == 100 and len(calibration.warnings) == 5 + len(ENCODERS)


def test_no_layer_in_int8_is_no_int8_bundle(small_checkpoint, calibration_see, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(calibrating, "fewest_in_float", lambda layers, *_: list(layers))
    assert export(small_checkpoint, calibration_see, tmp_path / "eye.canthus") == 2
    assert "no layer of the network can be in INT8 and hold the goal" in capsys.readouterr().err
    assert not (tmp_path / "eye.canthus").exists()


@pytest.mark.parametrize(
    "held, told",
    [
        (
            {40: 98.46, 90: 99.0, 60: 98.7},
            ". With 40 of 100 layers in float some 98.4 % hold: --agreement 98.4 asks for that",
        ),
        ({60: 49.9}, ""),
        ({}, ""),
    ],
)
def test_what_could_be_asked_for_instead_is_told(held, told):
    assert telling.what_holds(held, 100) == told


@pytest.mark.parametrize("percent", ["", "ninety", "nan", "49", "100.1"])
def test_agreement_that_is_no_percentage_is_refused(small_checkpoint, tmp_path, capsys, percent):
    with pytest.raises(SystemExit):
        export(small_checkpoint, tmp_path, tmp_path / "eye.canthus", "--agreement", percent)
    assert f"{percent!r} is no number of percent from 50 to 100" in capsys.readouterr().err
