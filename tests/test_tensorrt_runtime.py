"""Plans on a GPU, where there is one; elsewhere on a strict stand-in for CUDA and TensorRT."""

import gc
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

import canthus
import played_gpu
from at_once import at_once
from canthus.bundle import read_bundle
from canthus.cli import main
from canthus.device.gpu import find_gpu
from canthus.engine import Engine
from canthus.errors import EngineError
from canthus.runtimes.onnxruntime import PRIME, REACT
from canthus.runtimes.tensorrt import TensorRt
from canthus.tensorrt import destination, library
from canthus.tensorrt.loaded import LoadedPlan
from canthus.verify import Golden, replay, tolerance

pytestmark = pytest.mark.usefixtures("data_home")
without_gpu = pytest.mark.skipif(find_gpu() is not None, reason="there is a GPU")
with_gpu = pytest.mark.skipif(find_gpu() is None, reason="there is no GPU")


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
        answers = plan.run(values)
        mean = sum(value.mean(dtype=np.float64) for value in values.values())
        for i, (name, answer) in enumerate(zip(REACT[1], answers, strict=True)):
            assert answer.shape == SHAPES["react"][name]
            assert np.allclose(answer, mean + i, rtol=1e-6)
    assert module.runs == before + (0 if plan.captured else 3)  # a graph is replayed without TensorRT
    assert played.cuda.device == 3  # as this thread had it


def test_played_an_answer_stays_as_it_is(played):
    plan, _ = played.load()
    values = [{name: moment(seed)[name] for name in ("frame", "event")} for seed in range(2)]
    answer, _ = plan.run(values[0])
    kept = answer.copy()
    assert not np.array_equal(plan.run(values[1])[0], kept)
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
            assert [answer.shape for answer in plan.run(images)] == [(1, 5), (1, 5)]
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

    at_once(4, ask)
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
