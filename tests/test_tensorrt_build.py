"""canthus build: plans are built for real, here with TensorRT-RTX and no GPU."""

import re
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from canthus.bundle import read_bundle
from canthus.cli import main
from canthus.device.gpu import find_gpu
from canthus.errors import EngineError
from canthus.parts import HEAD, PARTS, member, signature
from canthus.runtimes.tensorrt import TensorRt
from canthus.tensorrt import build, destination, library
from canthus.tensorrt.cache import find_plan, plan_folder, plan_path
from canthus.tensorrt.loaded import LoadedPlan
from plans import A_GPU, changed, contents, no_report

pytestmark = pytest.mark.usefixtures("data_home")
without_gpu = pytest.mark.skipif(find_gpu() is not None, reason="there is a GPU")


def test_builds_once_and_finds_it_again(rtx, bundle, capfd):
    assert main(["build", str(bundle.path), "--target", "rtx"]) == 0
    told = capfd.readouterr()
    assert told.err == ""  # TensorRT itself is silent
    assert told.out.startswith(f"TensorRT-RTX {rtx.library.version}, for GPUs of compute capability 8.0, 8.6")
    folder = plan_folder(bundle)
    assert folder == bundle.path.with_name("eye.canthus.engines")
    plans = contents(folder)
    lines = re.findall(r"^(\w+\.onnx) +built in [\d.]+ s, [\d.]+ MB: (.*)$", told.out, re.MULTILINE)
    assert [name for name, _ in lines] == [member(part) for part in PARTS]
    assert sorted(plans) == sorted(Path(path).name for _, path in lines)
    for name, path in lines:
        plan = bytes(find_plan(bundle, name, rtx))
        assert Path(path) == plan_path(bundle, name, rtx) and plan in plans[Path(path).name] and len(plan) > 200_000
    assert main(["build", str(bundle.path), "--target", "rtx"]) == 0
    assert capfd.readouterr().out.count("already built") == 5
    assert contents(folder) == plans


def test_ctrl_c_stops_the_build_and_leaves_nothing(bundle, rtx, monkeypatch, capsys):
    ended = []
    in_thread = build._build

    def watched(*arguments):
        try:
            in_thread(*arguments)
        except EngineError as error:
            ended.append(str(error))

    def interrupt(phase, done, total):
        raise KeyboardInterrupt

    monkeypatch.setattr(build, "_LOOK_EVERY", 0.001)
    monkeypatch.setattr(build, "_build", watched)
    with pytest.raises(KeyboardInterrupt):
        build.build_plan(rtx.library, "head.onnx", bundle.read("head.onnx"), signature(HEAD), interrupt)
    assert len(ended) == 1 and "ancel" in ended[0]  # TensorRT itself, and before this was told
    monkeypatch.setattr("canthus.cli.build.build_plan", lambda *a: build.build_plan(*a[:4], interrupt))
    assert main(["build", str(bundle.path), "--target", "rtx"]) == 130
    assert "nothing was left half-written" in capsys.readouterr().err
    assert {path.name for path in bundle.path.parent.iterdir()} == {"eye.canthus"}


def test_a_build_that_is_cancelled_ends_at_the_next_step(bundle, rtx):
    monitor = build._monitor(rtx.library.module)
    monitor.cancelled = True
    with pytest.raises(EngineError, match=r"can't build it.*[Cc]ancel"):
        build._build(rtx.library, "head.onnx", bundle.read("head.onnx"), signature(HEAD), monitor)
    assert monitor.at[1:] < (10, 20)  # of thousands


def test_progress_tells_phases_and_steps(bundle, rtx, monkeypatch):
    told = []
    monkeypatch.setattr(build, "_LOOK_EVERY", 0.001)
    build.build_plan(rtx.library, "head.onnx", bundle.read("head.onnx"), signature(HEAD), lambda *at: told.append(at))
    assert len({phase for phase, _, _ in told}) >= 3
    assert all(0 <= done <= total for _, done, total in told)


@pytest.mark.parametrize("part", PARTS)
def test_float32_stays_float32_and_a_plan_can_be_captured(bundle, rtx, monkeypatch, part):
    trt = rtx.library.module
    configs = []

    class Builder(trt.Builder):
        def create_builder_config(self):
            configs.append((self, super().create_builder_config()))
            return configs[-1][1]

    monkeypatch.setattr(trt, "Builder", Builder)
    build.build_plan(rtx.library, member(part), bundle.read(member(part)), signature(part), no_report)
    ((_, config),) = configs
    assert not config.get_flag(trt.BuilderFlag.TF32)
    assert config.get_flag(trt.BuilderFlag.REQUIRE_USER_ALLOCATION)


def refused(rtx, graph, part="first_frame"):
    with pytest.raises(EngineError) as told:
        build.build_plan(rtx.library, member(part), graph, signature(part), no_report)
    return str(told.value)


def test_a_graph_that_it_can_not_read(bundle, rtx, capfd):
    unknown = refused(rtx, bundle.read("first_frame.onnx").replace(b"MaxPool", b"MaxPoof"))
    assert re.match(r"first_frame\.onnx: TensorRT-RTX \S+ can't read it \(node '\w+', MaxPoof: .*\); export", unknown)
    assert "\n" not in unknown
    assert "can't read it" in refused(rtx, b"junk") and refused(rtx, b"")
    assert "takes ['image'] and gives ['features']" in refused(rtx, bundle.read("first_frame.onnx"), HEAD)
    assert capfd.readouterr() == ("", "")


def make_graph(node, given, made, constants=()):
    onnx = pytest.importorskip("onnx")
    values = [[onnx.helper.make_tensor_value_info(*value)] for value in (given, made)]
    graph = onnx.helper.make_graph([node], "graph", *values, constants)
    opset = onnx.helper.make_opsetid("", 20)
    return onnx.helper.make_model(graph, opset_imports=[opset], ir_version=10).SerializeToString()


def test_its_reason_is_told_in_one_line(rtx):
    """Without what a machine without a GPU adds to each, and where in TensorRT's own source it was found."""
    onnx = pytest.importorskip("onnx")
    axes = onnx.numpy_helper.from_array(np.array([0]), "axes")
    node = onnx.helper.make_node("Unsqueeze", ["x", "axes"], ["y"], "here")
    types = onnx.TensorProto
    message = refused(rtx, make_graph(node, ("x", types.UINT8, [3]), ("y", types.UINT8, [1, 3]), [axes]))
    assert "node 'here', Unsqueeze: " in message and "input has type UInt8 but must have type Float" in message
    assert not re.search(r"\n|cudaError|_src|\.cpp", message)


@without_gpu
def test_why_a_plan_can_not_be_loaded(rtx):
    with pytest.raises(EngineError, match=r"head\.onnx: TensorRT-RTX \S+ can't load its plan \([^)]{10}") as told:
        LoadedPlan(rtx.library, HEAD, memoryview(b"no plan"), ExitStack())
    assert "cudaError" not in str(told.value) and "it doesn't say why" not in str(told.value)


def test_a_graph_reads_no_other_file(rtx, tmp_path, monkeypatch):
    onnx = pytest.importorskip("onnx")
    monkeypatch.chdir(tmp_path)
    Path("weights").write_bytes(bytes(12))
    weight = onnx.numpy_helper.from_array(np.zeros(3, np.float32), "w")
    inside = onnx.TensorProto()
    inside.CopyFrom(weight)
    weight.ClearField("raw_data")
    weight.data_location = onnx.TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="weights")
    add = onnx.helper.make_node("Add", ["x", "w"], ["y"])
    given, made = (("xy"[i], onnx.TensorProto.FLOAT, [3]) for i in range(2))
    told = [refused(rtx, make_graph(add, given, made, [constant])) for constant in (inside, weight)]
    assert "takes ['x']" in told[0] and "can't read it" in told[1]


@pytest.mark.parametrize("in_float", ["none", "dense", "all"])
def test_int8_for_tensorrt_builds(small_bundle, rtx, in_float):
    onnx = pytest.importorskip("onnx")
    from canthus_calibration.network import Network
    from canthus_calibration.subsets import Drawn
    from canthus_calibration.targets import TARGETS

    bundle = read_bundle(small_bundle)
    graphs = {part: onnx.load_from_string(bundle.read(member(part))) for part in PARTS}
    frame, event = np.random.default_rng(0).integers(0, 256, (2, 4, 2, 100, 100), np.uint8)
    drawn = Drawn(frame, event, np.arange(4), np.arange(4), (), "")
    network = Network(graphs, TARGETS["tensorrt"])
    kept = [layer for layer in network.layers if in_float == "all" or (in_float == "dense" and "fc" in layer.name)]
    assert bool(kept) == (in_float != "none")
    int8 = network.quantised(network.observe(drawn, "minmax", no_report), kept)
    for part in PARTS:
        graph = int8[part].SerializeToString()
        assert len(build.build_plan(rtx.library, member(part), graph, signature(part), no_report)) > 100_000


@pytest.mark.parametrize("target", ["x86", "arm64"])
def test_int8_for_something_else_is_refused(bundle, on_a_gpu, target, capsys):
    bundle = changed(bundle, precision="int8", target=target)
    assert main(["build", str(bundle.path), "--target", "rtx"]) == 2
    message = f"eye.canthus: was quantised for {target}.* --precision int8 --target tensorrt"
    assert re.search(message, capsys.readouterr().err)
    with pytest.raises(EngineError, match=message):
        TensorRt(bundle)


@without_gpu
@pytest.mark.parametrize("target", ["this", "jetson-orin", "thor"])
def test_targets_that_need_their_gpu(bundle, target, capsys):
    assert main(["build", str(bundle.path), "--target", target]) == 2
    error = capsys.readouterr().err
    wanted = {"this": r"needs a GPU here: .+; .* use `canthus build --target rtx`"}
    assert re.search(wanted.get(target, rf"--target {target}: .* here is none that works; .*build` there"), error)
    assert error.count("\n") == 1


@pytest.mark.parametrize("target", ["jetson-orin", "thor"])
def test_a_jetsons_plan_is_built_on_it(on_a_gpu, target):
    with pytest.raises(EngineError, match=rf"--target {target}: .* here is a NVIDIA GeForce RTX 3060.* build` there"):
        destination.destination(target)


@pytest.mark.parametrize("target, capability", [("jetson-orin", (8, 7)), ("thor", (11, 0)), ("thor", (10, 1))])
def test_on_a_jetson_it_takes_the_full_library(monkeypatch, target, capability):
    monkeypatch.setattr(destination, "find_gpu", lambda: replace(A_GPU, name="Orin", compute_capability=capability))
    monkeypatch.setattr(destination, "open_library", lambda name: name)
    found = destination.destination(target)
    assert found.library == "tensorrt"
    assert found.gpus == "Orin, 28 multiprocessors, compute capability {}.{}".format(*capability)


def test_what_runs_on_the_gpu_here(rtx, monkeypatch):
    if library.is_usable("tensorrt"):
        pytest.skip("TensorRT is installed, and comes first")
    monkeypatch.setattr(destination, "find_gpu", lambda: A_GPU)
    assert destination.destinations_here() == [rtx] and destination.destination("this") == rtx
    monkeypatch.setattr(destination, "find_gpu", lambda: replace(A_GPU, compute_capability=(9, 0)))
    with pytest.raises(EngineError, match=r"TensorRT isn't installed: .* pip install 'canthus\[tensorrt\]'"):
        destination.destinations_here()


@pytest.mark.parametrize("version, usable", [("10.2.9", False), ("10.3.0", True), ("8.6.1", False), ("11.4", True)])
def test_old_libraries_are_refused(rtx, monkeypatch, version, usable):
    """`tensorrt` played by TensorRT-RTX, which has the same classes."""
    monkeypatch.setitem(sys.modules, "tensorrt", rtx.library.module)
    monkeypatch.setattr(rtx.library.module, "__version__", version)
    opened = library.open_library.__wrapped__
    if usable:
        assert str(opened("tensorrt")) == f"TensorRT {version}" and opened("tensorrt").ahead_of_time == ()
    else:
        with pytest.raises(EngineError, match=rf"TensorRT {version} is too old, canthus needs 10\.3 or later: on a"):
            opened("tensorrt")


def test_without_the_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt_rtx_bindings", None)
    with pytest.raises(EngineError, match=r"TensorRT-RTX isn't installed: pip install 'canthus\[tensorrt-rtx\]'"):
        library.open_library.__wrapped__("tensorrt_rtx")


def test_help_tells_where_the_key_is(capsys):
    with pytest.raises(SystemExit):
        main(["build", "--help"])
    told = capsys.readouterr().out
    assert "canthus/plan.key" in told and "chmod 600" in told and "jetson-orin" in told
