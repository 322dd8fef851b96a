"""TensorRT: plans are built for real, here with TensorRT-RTX and no GPU; none is loaded that this user didn't build."""

import gc
import hashlib
import json
import re
import shutil
import struct
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import canthus
import played_gpu
from canthus.bundle import read_bundle, write_bundle
from canthus.cli import main
from canthus.engine import Engine
from canthus.errors import EngineError
from canthus.gpu import Gpu, find_gpu
from canthus.manifest import MEMBERS
from canthus.runtimes.onnxruntime import PRIME, REACT
from canthus.runtimes.tensorrt import TensorRt
from canthus.tensorrt import build, destination, library, plan_file
from canthus.tensorrt.cache import find_plan, plan_folder, plan_path
from canthus.tensorrt.key import key_path, read_key, read_or_make_key
from canthus.tensorrt.loaded import LoadedPlan, _Objects
from canthus.verify import Golden, replay, tolerance

A_GPU = Gpu("NVIDIA GeForce RTX 3060", (8, 6), 12 << 30, 28, False, "GPU-1", "13.0", None)


def no_report(*_at):
    pass


without_gpu = pytest.mark.skipif(find_gpu() is not None, reason="there is a GPU")
with_gpu = pytest.mark.skipif(find_gpu() is None, reason="there is no GPU")


@pytest.fixture(autouse=True)
def data_home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture(scope="module")
def rtx():
    pytest.importorskip("tensorrt_rtx_bindings", reason="TensorRT-RTX is not installed")
    return destination.destination("rtx")


@pytest.fixture(scope="module")
def built_once(rtx, small_bundle, tmp_path_factory):
    """A bundle with plans, and the key; copied by `built`."""
    folder = tmp_path_factory.mktemp("built")
    shutil.copy(small_bundle, folder / "eye.canthus")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("XDG_DATA_HOME", str(folder / "data"))
        assert main(["build", str(folder / "eye.canthus"), "--target", "rtx"]) == 0
    return folder


@pytest.fixture
def built(built_once, tmp_path):
    shutil.copytree(built_once, tmp_path, dirs_exist_ok=True)
    return read_bundle(tmp_path / "eye.canthus")


@pytest.fixture
def bundle(small_bundle, tmp_path):
    return read_bundle(shutil.copy(small_bundle, tmp_path / "eye.canthus"))


@pytest.fixture
def on_a_gpu(monkeypatch):
    """As if there were one, until something is asked of it."""
    monkeypatch.setattr(destination, "find_gpu", lambda: A_GPU)


def changed(bundle, graph=lambda content: content, **fields):
    """The bundle again, with another `prime.onnx` or another manifest."""
    members = {name: bundle.read(name) for name in MEMBERS}
    members["prime.onnx"] = graph(members["prime.onnx"])
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in members.items()}
    write_bundle(bundle.path, replace(bundle.manifest, sha256=hashes, **fields), members)
    return read_bundle(bundle.path)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_builds_once_and_finds_it_again(rtx, bundle, capfd):
    assert main(["build", str(bundle.path), "--target", "rtx"]) == 0
    told = capfd.readouterr()
    assert told.err == ""  # TensorRT itself is silent
    assert told.out.startswith(f"TensorRT-RTX {rtx.library.version}, for GPUs of compute capability 8.0, 8.6")
    folder = plan_folder(bundle)
    assert folder == bundle.path.with_name("eye.canthus.engines")
    plans = contents(folder)
    paths = re.findall(r"^(?:prime|react)\.onnx  built in [\d.]+ s, [\d.]+ MB: (.*)$", told.out, re.MULTILINE)
    assert sorted(plans) == sorted(Path(path).name for path in paths) and len(plans) == 2
    for member in ("prime.onnx", "react.onnx"):
        plan = bytes(find_plan(bundle, member, rtx))
        assert plan in plans[plan_path(bundle, member, rtx).name] and len(plan) > 500_000
    assert main(["build", str(bundle.path), "--target", "rtx"]) == 0
    assert len(re.findall("already built", capfd.readouterr().out)) == 2
    assert contents(folder) == plans


def test_the_key_is_private_and_made_once(built, data_home):
    path = data_home / "canthus" / "plan.key"
    assert key_path() == path
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    key = read_key()
    assert len(key) == 32 and len(set(key)) > 10
    assert read_or_make_key() == key
    assert [found.name for found in path.parent.iterdir()] == ["plan.key"]


def test_keys_differ(tmp_path, monkeypatch):
    keys = set()
    for name in "ab":
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / name))
        keys.add(read_or_make_key())
    assert len(keys) == 2


def test_a_user_without_a_home(monkeypatch):
    def home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setattr(Path, "home", home)
    with pytest.raises(EngineError, match="no home to keep a key in; set XDG_DATA_HOME"):
        read_or_make_key()


def test_a_key_that_can_not_be_written(data_home):
    data_home.write_text("in the way")
    with pytest.raises(EngineError, match=r"plan\.key: can't write the key \(.*\); set XDG_DATA_HOME"):
        read_or_make_key()


def test_of_two_that_make_a_key_the_first_wins(monkeypatch):
    """The other's plans would else be sealed with a key that is gone."""
    first = []

    def meanwhile(size):
        monkeypatch.undo()
        monkeypatch.setenv("XDG_DATA_HOME", str(key_path_before.parent.parent))
        first.append(read_or_make_key())
        return b"x" * size

    key_path_before = key_path()
    monkeypatch.setattr("secrets.token_bytes", meanwhile)
    assert read_or_make_key() == first[0] != b"x" * 32
    assert [path.name for path in key_path().parent.iterdir()] == ["plan.key"]


def test_a_relative_data_home_is_no_data_home(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", "data")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert key_path() == tmp_path / ".local" / "share" / "canthus" / "plan.key"


START = struct.calcsize("<12sIIQ")


def header_end(content):
    return START + struct.unpack_from("<I", content, 16)[0]


def flipped(place):
    """Changes the bit of lowest value of one byte."""

    def change(content):
        at = place(content) % len(content)
        return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]

    return change


def longer_header(content):
    """Of the same length in all: the plan's first bytes become the header's last."""
    header, plan = struct.unpack_from("<IQ", content, 16)
    return content[:16] + struct.pack("<IQ", header + 8, plan - 8) + content[START:]


TAMPERED = {
    "magic": (flipped(lambda content: 0), "is no plan of canthus's"),
    "format": (flipped(lambda content: 12), "is of format 0 and this canthus reads 1"),
    "header's length": (flipped(lambda content: 16), "was cut short or changed"),
    "header's length, huge": (lambda content: content[:16] + b"\xff" * 4 + content[20:], "was cut short or changed"),
    "header's length, plan's too": (longer_header, "is not as you built it"),
    "plan's length": (flipped(lambda content: 20), "was cut short or changed"),
    "plan's length, huge": (lambda content: content[:20] + b"\xff" * 8 + content[28:], "was cut short or changed"),
    "header's begin": (flipped(lambda content: START), "is not as you built it"),
    "header's end": (flipped(lambda content: header_end(content) - 1), "is not as you built it"),
    "plan's begin": (flipped(header_end), "is not as you built it"),
    "plan's middle": (flipped(lambda content: len(content) // 2), "is not as you built it"),
    "plan's end": (flipped(lambda content: -33), "is not as you built it"),
    "seal's begin": (flipped(lambda content: -32), "is not as you built it"),
    "seal's end": (flipped(lambda content: -1), "is not as you built it"),
    "cut by one": (lambda content: content[:-1], "was cut short or changed"),
    "cut to its start": (lambda content: content[:START], "was cut short or changed"),
    "cut within its start": (lambda content: content[: START - 1], "is no plan of canthus's"),
    "one more": (lambda content: content + b"\0", "was cut short or changed"),
    "empty": (lambda content: b"", "is no plan of canthus's"),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_what_was_changed_is_refused(built, rtx, what):
    change, message = TAMPERED[what]
    path = plan_path(built, "react.onnx", rtx)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(EngineError, match=message) as told:
        find_plan(built, "react.onnx", rtx)
    assert str(path) in str(told.value) and "run `canthus build` again" in str(told.value)


def test_what_was_changed_is_never_deserialised(built, rtx, on_a_gpu, monkeypatch):
    """Not even the sound plan beside it."""
    path = plan_path(built, "react.onnx", rtx)
    path.write_bytes(TAMPERED["plan's middle"][0](path.read_bytes()))
    monkeypatch.setattr("canthus.runtimes.tensorrt.LoadedPlan", lambda *arguments: pytest.fail("deserialised"))
    with pytest.raises(EngineError, match="is not as you built it"):
        TensorRt(built)


def test_what_was_changed_is_built_anew(built, rtx, capsys):
    path = plan_path(built, "prime.onnx", rtx)
    path.write_bytes(path.read_bytes()[:-1])
    assert main(["build", str(built.path), "--target", "rtx"]) == 0
    told = capsys.readouterr()
    assert f"built anew: {path}: was cut short or changed" in told.err
    assert told.out.count("built in") == told.out.count("already built") == 1
    assert find_plan(built, "prime.onnx", rtx) is not None


def test_a_plan_of_anothers_is_refused(built, rtx):
    key_path().unlink()
    with pytest.raises(EngineError, match=r"no such key.* copy the key"):
        find_plan(built, "prime.onnx", rtx)
    read_or_make_key()
    with pytest.raises(EngineError, match=r"is not as you built it.* built by another user or on another machine"):
        find_plan(built, "prime.onnx", rtx)


def test_a_plan_goes_with_its_key(built, rtx, tmp_path, monkeypatch):
    key = key_path().read_bytes()
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "elsewhere"))
    read_or_make_key()
    key_path().write_bytes(key)
    assert find_plan(built, "prime.onnx", rtx) is not None


@pytest.mark.parametrize("mode", [0o640, 0o620, 0o604, 0o602, 0o660])
def test_a_key_that_others_can_use_is_refused(built, rtx, mode):
    key_path().chmod(mode)
    with pytest.raises(EngineError, match=r"plan\.key: others may read or write it.* chmod 600"):
        find_plan(built, "prime.onnx", rtx)


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o703])
def test_a_folder_in_which_others_can_change_the_key_is_refused(built, rtx, mode):
    key_path().parent.chmod(mode)
    with pytest.raises(EngineError, match=r"canthus: others may read or write it.* chmod 700"):
        find_plan(built, "prime.onnx", rtx)


def test_a_key_of_another_user_is_refused(built, rtx, monkeypatch):
    owner = key_path().stat().st_uid
    monkeypatch.setattr("os.geteuid", lambda: owner + 1)
    with pytest.raises(EngineError, match="belongs to another user"):
        find_plan(built, "prime.onnx", rtx)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_key_of_another_size_is_refused(built, rtx, size):
    key_path().write_bytes(bytes(size))
    with pytest.raises(EngineError, match="is not a key of 32 bytes"):
        find_plan(built, "prime.onnx", rtx)


def test_no_plan_is_sealed_with_a_key_that_others_have(bundle, rtx, capsys):
    read_or_make_key()
    key_path().chmod(0o644)
    assert main(["build", str(bundle.path), "--target", "rtx"]) == 2
    assert "others may read or write it" in capsys.readouterr().err
    assert not plan_folder(bundle).exists()


def test_a_plan_under_anothers_name_is_refused(built, rtx):
    """All that a plan depends on is under its seal, not in its name alone."""
    shutil.copy(plan_path(built, "react.onnx", rtx), plan_path(built, "prime.onnx", rtx))
    with pytest.raises(EngineError, match=r"was built for graph 'react\.onnx', not 'prime\.onnx'"):
        find_plan(built, "prime.onnx", rtx)


def test_a_plan_is_for_what_it_was_built_for(built, rtx, monkeypatch):
    path = plan_path(built, "prime.onnx", rtx)
    content = path.read_bytes()
    fields = json.loads(content[START : header_end(content)])
    assert set(fields) == {"graph", "graph_sha256", "library", "version", "gpus", "system", "recipe"}
    assert fields["graph_sha256"] == built.manifest.sha256["prime.onnx"]
    for name in fields:
        wanted = {**fields, name: "other"}
        with pytest.raises(EngineError, match=f"was built for {name} "):
            plan_file.read_plan(path, read_key(), wanted)
    for other in (
        replace(rtx, gpus="GPUs of tomorrow"),
        replace(rtx, library=replace(rtx.library, version="9.9")),
        replace(rtx, library=replace(rtx.library, name="tensorrt")),
    ):
        assert find_plan(built, "prime.onnx", other) is None
        shutil.copy(path, plan_path(built, "prime.onnx", other))
        with pytest.raises(EngineError, match="was built for"):
            find_plan(built, "prime.onnx", other)


def test_an_over_large_file_is_not_read(built, rtx):
    path = plan_path(built, "prime.onnx", rtx)
    with path.open("r+b") as file:
        file.truncate(plan_file.LARGEST + 1)
    with pytest.raises(EngineError, match="has 2147483649 bytes"):
        find_plan(built, "prime.onnx", rtx)


def test_a_folder_in_a_plans_place(built, rtx):
    path = plan_path(built, "prime.onnx", rtx)
    path.unlink()
    path.mkdir()
    with pytest.raises(EngineError, match="is no file; remove it"):
        find_plan(built, "prime.onnx", rtx)


def test_plans_of_the_bundle_that_was_are_removed(built, rtx, capsys):
    folder = plan_folder(built)
    before = plan_path(built, "prime.onnx", rtx)
    (folder / "notes.txt").write_text("kept")
    new = changed(built, lambda graph: graph + b"\x12\x07changed")  # its producer's name
    assert main(["build", str(new.path), "--target", "rtx"]) == 0
    told = capsys.readouterr().out
    assert f"removed   {before}: it was of an older eye.canthus" in told
    names = {plan_path(new, member, rtx).name for member in ("prime.onnx", "react.onnx")}
    assert {path.name for path in folder.iterdir()} == {*names, "notes.txt"}
    assert "react.onnx  already built" in told and "prime.onnx  built in" in told


def test_a_folder_that_can_not_be_written(bundle, rtx, capsys):
    plan_folder(bundle).write_text("in the way")
    assert main(["build", str(bundle.path), "--target", "rtx"]) == 2
    assert "can't be written" in capsys.readouterr().err


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
        build.build_plan(rtx.library, "react.onnx", bundle.read("react.onnx"), REACT, interrupt)
    assert len(ended) == 1 and "ancel" in ended[0]  # TensorRT itself, and before this was told
    monkeypatch.setattr("canthus.cli.build.build_plan", lambda *a: build.build_plan(*a[:4], interrupt))
    assert main(["build", str(bundle.path), "--target", "rtx"]) == 130
    assert "nothing was left half-written" in capsys.readouterr().err
    assert {path.name for path in bundle.path.parent.iterdir()} == {"eye.canthus"}


def test_a_build_that_is_cancelled_ends_at_the_next_step(bundle, rtx):
    monitor = build._monitor(rtx.library.module)
    monitor.cancelled = True
    with pytest.raises(EngineError, match=r"can't build it.*[Cc]ancel"):
        build._build(rtx.library, "react.onnx", bundle.read("react.onnx"), REACT, monitor)
    assert monitor.at[1:] < (10, 20)  # of thousands


def test_progress_tells_phases_and_steps(bundle, rtx, monkeypatch):
    told = []
    monkeypatch.setattr(build, "_LOOK_EVERY", 0.001)
    build.build_plan(rtx.library, "react.onnx", bundle.read("react.onnx"), REACT, lambda *at: told.append(at))
    assert len({phase for phase, _, _ in told}) >= 3
    assert all(0 <= done <= total for _, done, total in told)


def test_float32_stays_float32_and_a_moment_can_be_captured(bundle, rtx, monkeypatch):
    trt = rtx.library.module
    configs = []

    class Builder(trt.Builder):
        def create_builder_config(self):
            configs.append((self, super().create_builder_config()))
            return configs[-1][1]

    monkeypatch.setattr(trt, "Builder", Builder)
    build.build_plan(rtx.library, "prime.onnx", bundle.read("prime.onnx"), PRIME, no_report)
    ((_, config),) = configs
    assert not config.get_flag(trt.BuilderFlag.TF32)
    assert config.get_flag(trt.BuilderFlag.REQUIRE_USER_ALLOCATION)


def refused(rtx, graph, signature=PRIME):
    with pytest.raises(EngineError) as told:
        build.build_plan(rtx.library, "prime.onnx", graph, signature, no_report)
    return str(told.value)


def test_a_graph_that_it_can_not_read(bundle, rtx, capfd):
    unknown = refused(rtx, bundle.read("prime.onnx").replace(b"MaxPool", b"MaxPoof"))
    assert re.match(r"prime\.onnx: TensorRT-RTX \S+ can't read it \(node '\w+', MaxPoof: .*\); export", unknown)
    assert "\n" not in unknown
    assert "can't read it" in refused(rtx, b"junk") and refused(rtx, b"")
    assert "takes ['frame', 'event'] and gives" in refused(rtx, bundle.read("prime.onnx"), REACT)
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
    with pytest.raises(EngineError, match=r"prime\.onnx: TensorRT-RTX \S+ can't load its plan \([^)]{10}") as told:
        _Objects().create(rtx.library, "prime.onnx", memoryview(b"no plan"))
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
    graphs = {name: onnx.load_from_string(bundle.read(f"{name}.onnx")) for name in ("prime", "react")}
    frame, event = np.random.default_rng(0).integers(0, 256, (2, 4, 2, 100, 100), np.uint8)
    drawn = Drawn(frame, event, np.arange(4), np.arange(4), "")
    network = Network(graphs, TARGETS["tensorrt"])
    kept = [layer for layer in network.layers if in_float == "all" or (in_float == "dense" and "fc" in layer.name)]
    assert bool(kept) == (in_float != "none")
    int8 = network.quantised(network.observe(drawn, "minmax", no_report), kept)
    for name, signature in (("prime", PRIME), ("react", REACT)):
        graph = int8[name].SerializeToString()
        assert len(build.build_plan(rtx.library, f"{name}.onnx", graph, signature, no_report)) > 300_000


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
    with pytest.raises(EngineError, match=r"TensorRT is not installed: .* pip install 'canthus\[tensorrt\]'"):
        destination.destinations_here()


@pytest.mark.parametrize("version, usable", [("10.2.9", False), ("10.3.0", True), ("8.6.1", False), ("11.4", True)])
def test_old_libraries_are_refused(rtx, monkeypatch, version, usable):
    """`tensorrt` played by TensorRT-RTX, which has the same classes."""
    monkeypatch.setitem(library._MODULE, "tensorrt", "tensorrt_rtx_bindings")
    monkeypatch.setattr(rtx.library.module, "__version__", version)
    opened = library.open_library.__wrapped__
    if usable:
        assert str(opened("tensorrt")) == f"TensorRT {version}" and opened("tensorrt").ahead_of_time == ()
    else:
        with pytest.raises(EngineError, match=rf"TensorRT {version} is too old, canthus needs 10\.3 or later: on a"):
            opened("tensorrt")


def test_without_the_library(monkeypatch):
    monkeypatch.setitem(library._MODULE, "tensorrt_rtx", "no_such_module")
    with pytest.raises(EngineError, match=r"TensorRT-RTX is not installed: pip install 'canthus\[tensorrt-rtx\]'"):
        library.open_library.__wrapped__("tensorrt_rtx")


def test_help_tells_where_the_key_is(capsys):
    with pytest.raises(SystemExit):
        main(["build", "--help"])
    told = capsys.readouterr().out
    assert "canthus/plan.key" in told and "chmod 600" in told and "jetson-orin" in told


@without_gpu
def test_the_runtime_without_a_gpu(built):
    with pytest.raises(EngineError, match="TensorRT needs a GPU here: "):
        TensorRt(built)


def test_the_runtime_without_a_plan(bundle, rtx, on_a_gpu):
    message = rf"eye\.canthus: has no plans for .*TensorRT-RTX.*; run `canthus build {bundle.path}` first"
    with pytest.raises(EngineError, match=message):
        TensorRt(bundle)


@without_gpu
def test_the_runtime_without_a_driver(built, on_a_gpu):
    """A sound plan is found and trusted; then CUDA is asked, and its error is told as one."""
    pytest.importorskip("cuda.bindings", reason="cuda-bindings is not installed")
    with pytest.raises(EngineError, match=r"CUDA: \w+ says cudaError\w+; see `canthus doctor`"):
        TensorRt(built)


SHAPES = {
    "prime": {"frame": (1, 4, 6), "event": (1, 4, 6), "first_frame": (1, 5), "first_event": (1, 5)},
    "react": {
        **{"frame": (1, 4, 6), "event": (1, 4, 6), "first_frame": (1, 5), "first_event": (1, 5)},
        **{"logits": (1, 7), "probabilities": (1, 7), "experts": (1, 8)},
    },
}


@pytest.fixture
def played(monkeypatch):
    """Loads a plan of `played_gpu`'s."""
    cuda = played_gpu.Cuda()
    monkeypatch.setattr("canthus.tensorrt.memory.importlib", SimpleNamespace(import_module=lambda name: cuda))

    modules = []

    def load(graph="prime", **options):
        signature = {"prime": PRIME, "react": REACT}[graph]
        module = played_gpu.TensorRt(cuda, signature[0], SHAPES[graph], **options)
        modules.append(module)
        opened = library.Library("tensorrt", "10.3", module, played_gpu.Log(), ())
        return LoadedPlan(opened, f"{graph}.onnx", memoryview(b""), signature), module

    return SimpleNamespace(cuda=cuda, load=load, modules=modules)


def moment(seed=0):
    random = np.random.default_rng(seed)
    images = {name: random.integers(0, 256, (1, 4, 6), np.uint8) for name in ("frame", "event")}
    return {**images, **{name: random.random((1, 5), np.float32) for name in ("first_frame", "first_event")}}


@pytest.mark.parametrize("capturable", [True, False, "no, but it doesn't know"])
def test_played_it_runs_one_moment_after_another(played, capturable):
    plan, module = played.load("react", capturable=capturable)
    assert plan.captured == (capturable is True)
    before = module.runs
    for seed in range(3):
        values = moment(seed)
        answer = plan.run(values)
        mean = sum(value.mean(dtype=np.float64) for value in values.values())
        for i, name in enumerate(REACT[1]):
            assert answer[name].shape == SHAPES["react"][name]
            assert np.allclose(answer[name], mean + i, rtol=1e-6)
    assert module.runs == before + (0 if plan.captured else 3)  # a graph is replayed without TensorRT
    assert played.cuda.device == 3  # as this thread had it


def test_played_an_answer_stays_as_it_is(played):
    plan, _ = played.load()
    values = [{name: moment(seed)[name] for name in ("frame", "event")} for seed in range(2)]
    answer = plan.run(values[0])["first_frame"]
    kept = answer.copy()
    assert not np.array_equal(plan.run(values[1])["first_frame"], kept)
    assert np.array_equal(answer, kept)


def test_played_steady_state_allocates_nothing(played):
    plan, _ = played.load("react")
    before = set(played.cuda.alive)
    played.cuda.calls.clear()
    for seed in range(3):
        plan.run(moment(seed))
    assert set(played.cuda.alive) == before
    each = ["cudaGetDevice", "cudaSetDevice", "cudaStreamSynchronize", "cudaGraphLaunch"]
    assert played.cuda.calls == 3 * [*each, "cudaStreamSynchronize", "cudaSetDevice"]


def test_played_all_is_released_in_order(played):
    plan, module = played.load()
    assert {kind for kind, _ in played.cuda.alive.values()} == {"stream", "host", "gpu", "graph", "launchable"}
    del plan
    gc.collect()
    assert not played.cuda.alive
    assert [name for name, _ in module.ended] == ["context", "engine", "runtime"]
    for _, held in module.ended:  # its graph is gone before TensorRT's objects, and the memory they use after
        assert held == {"stream", "host", "gpu"}


def test_played_any_call_may_fail(played):
    """One error, and nothing is left: at every call that loading makes, and that running makes."""
    plan, _ = played.load()
    loading = len(played.cuda.calls)
    images = {name: moment()[name] for name in ("frame", "event")}
    plan.run(images)
    running = len(played.cuda.calls) - loading
    names = list(played.cuda.calls)
    del plan
    gc.collect()
    capture = range(names.index("cudaStreamBeginCapture"), names.index("cudaGraphInstantiate") + 1)
    for at in range(loading + running):
        played.cuda.calls.clear()
        played.cuda.fail_at, played.cuda.captured = at, None
        if at in capture:  # it goes on without a graph
            plan, _ = played.load()
            assert not plan.captured
            assert plan.run(images).keys() == {"first_frame", "first_event"}
            del plan
        else:
            with pytest.raises(EngineError, match=f"CUDA: {names[at]} says cudaErrorMemoryAllocation") as told:
                played.load()[0].run(images)
            if at < loading:  # at once, not when the last has forgotten the error
                assert not played.cuda.alive, names[at]
                begun = played.modules[-1].begun
                assert [name for name, _ in played.modules[-1].ended] == begun[::-1], names[at]
            del told
        gc.collect()
        left = {kind for kind, _ in played.cuda.alive.values()}
        assert not left, names[at]


@pytest.mark.parametrize(
    "changed",
    [
        {"frame": np.zeros((1, 6, 4), np.uint8)},
        {"event": np.zeros((1, 4, 6), np.float32)},
        {"first_frame": np.zeros((1, 1), np.float32)},
        {"first_event": np.zeros((2, 5), np.float32)},
        {"first_event": np.zeros((1, 5), np.float64)},
    ],
)
def test_played_other_inputs_are_refused(played, changed):
    plan, _ = played.load("react")
    ((name, value),) = changed.items()
    with pytest.raises(EngineError, match=rf"react\.onnx: {name} is {value.dtype} .*, not "):
        plan.run({**moment(), **changed})


def test_played_a_plan_of_another_graph_is_refused(played, monkeypatch):
    monkeypatch.setitem(SHAPES, "prime", {**SHAPES["prime"], "more": (1, 2)})
    with pytest.raises(EngineError, match=r"prime\.onnx: its plan is of .*'more'.*canthus build` again"):
        played.load()
    monkeypatch.setitem(SHAPES, "prime", {**SHAPES["prime"], "frame": (-1, 4, 6)})
    with pytest.raises(EngineError, match=r"prime\.onnx: its plan has frame uint8 \(-1, 4, 6\)"):
        played.load()
    gc.collect()
    assert not played.cuda.alive


def test_played_a_batch_is_its_items(built, on_a_gpu, monkeypatch, played):
    monkeypatch.setattr(
        "canthus.runtimes.tensorrt.LoadedPlan",
        lambda opened, name, plan, signature: played.load(name.removesuffix(".onnx"))[0],
    )
    runtime = TensorRt(built)
    moments = [moment(seed) for seed in range(3)]
    batch = {name: np.concatenate([each[name] for each in moments]) for name in moments[0]}
    first = runtime.prime(batch["frame"], batch["event"])
    together = runtime.react(**batch)
    assert [features.shape for features in first] == [(3, 5), (3, 5)]
    assert [values.shape for values in together] == [(3, 7), (3, 7), (3, 8)]
    for i, each in enumerate(moments):
        alone = runtime.react(**each)
        assert all(np.array_equal(a[0], b[i]) for a, b in zip(alone, together, strict=True))
        alone_first = runtime.prime(each["frame"], each["event"])
        assert all(np.array_equal(a[0], b[i]) for a, b in zip(alone_first, first, strict=True))


@pytest.fixture(scope="module")
def on_gpu(small_bundle, tmp_path_factory):
    """A bundle with plans for the GPU here, and the runtime that runs them."""
    folder = tmp_path_factory.mktemp("gpu")
    bundle = read_bundle(shutil.copy(small_bundle, folder / "eye.canthus"))
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("XDG_DATA_HOME", str(folder / "data"))
        try:
            destination.destinations_here()
        except EngineError as error:
            pytest.skip(str(error))
        assert main(["build", str(bundle.path)]) == 0
        return bundle, TensorRt(bundle)


@with_gpu
def test_it_answers_as_the_checkpoint(on_gpu):
    bundle, runtime = on_gpu
    assert replay(Engine(bundle.manifest, runtime), Golden.from_bundle(bundle)) <= tolerance(bundle.manifest)
    assert runtime._prime.captured and runtime._react.captured


@with_gpu
def test_a_batch_is_its_items(on_gpu):
    bundle, runtime = on_gpu
    engine = Engine(bundle.manifest, runtime)
    frame, event = np.random.default_rng(0).integers(0, 256, (2, 3, 100, 100), np.uint8)
    together = engine.react(frame, event, engine.prime(frame, event))
    for i in range(3):
        alone = engine.react(frame[i], event[i], engine.prime(frame[i], event[i]))
        assert np.array_equal(alone.logits[0], together.logits[i])
        assert (together.experts[i] > 0).sum() == 2


@with_gpu
def test_several_threads_may_ask_at_once(on_gpu):
    bundle, runtime = on_gpu
    engine = Engine(bundle.manifest, runtime)
    frame, event = np.random.default_rng(0).integers(0, 256, (2, 4, 100, 100), np.uint8)
    first = engine.prime(frame, event)
    expected = engine.react(frame, event, first).logits
    wrong = []

    def ask(i):
        for _ in range(50):
            own = engine.prime(frame[i], event[i])
            if not np.array_equal(own.frame[0], first.frame[i]):
                wrong.append(("prime", i))
            if not np.array_equal(engine.react(frame[i], event[i], own).logits[0], expected[i]):
                wrong.append(("react", i))

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert not wrong


@with_gpu
def test_answers_are_not_overwritten_by_the_next(on_gpu):
    _, runtime = on_gpu
    frame, event = np.random.default_rng(0).integers(0, 256, (2, 2, 1, 100, 100), np.uint8)
    before = runtime.prime(frame[0], event[0])
    kept = [values.copy() for values in before]
    runtime.prime(frame[1], event[1])
    assert all(np.array_equal(*pair) for pair in zip(before, kept, strict=True))


@with_gpu
def test_another_networks_features_are_refused(on_gpu):
    _, runtime = on_gpu
    images = np.zeros((1, 100, 100), np.uint8)
    wrong = np.zeros((1, 1), np.float32)
    with pytest.raises(canthus.EngineError, match=r"react\.onnx: first_frame is float32 \(1, 1\), not float32"):
        runtime.react(images, images, wrong, wrong)


@with_gpu
def test_loading_again_and_again_frees_the_gpus_memory(on_gpu, monkeypatch):
    from canthus.tensorrt.memory import Cuda

    bundle, _ = on_gpu
    monkeypatch.setenv("XDG_DATA_HOME", str(bundle.path.parent / "data"))
    cuda = Cuda()

    def free():
        return cuda.runtime.cudaMemGetInfo()[1]

    TensorRt(bundle)
    before = free()
    for _ in range(5):
        TensorRt(bundle)
    assert before - free() < 16 << 20
