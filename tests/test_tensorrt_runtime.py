"""Plans on a GPU, where there is one; elsewhere on a strict stand-in for CUDA and TensorRT."""

import shutil
import threading
from types import SimpleNamespace

import numpy as np
import pytest

import canthus
import played_gpu
import played_tensorrt
from at_once import at_once
from canthus.bundle import read_bundle
from canthus.cli import main
from canthus.device.gpu import find_gpu
from canthus.engine import Engine
from canthus.errors import EngineError
from canthus.parts import FIRST, HEAD, LAST, PARTS, member
from canthus.runtimes import Reaction
from canthus.runtimes.tensorrt import TensorRt
from canthus.tensorrt import destination
from canthus.tensorrt.cache import plan_path
from canthus.tensorrt.moment import Moment
from canthus.verify import Golden, allowed, replay
from played_tensorrt import SHAPES, answered, encoded

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


@pytest.mark.parametrize("part", PARTS)
def test_the_runtime_without_one_of_its_plans(built, rtx, on_a_gpu, part):
    plan_path(built, member(part), rtx).unlink()
    with pytest.raises(EngineError, match="has no plans for"):
        TensorRt(built)


@without_gpu
def test_the_runtime_without_a_driver(built, on_a_gpu):
    """A sound plan is found and trusted; then CUDA is asked, and its error is told as one."""
    pytest.importorskip("cuda.bindings", reason="cuda-bindings is not installed")
    with pytest.raises(EngineError, match=r"CUDA: \w+ says cudaError\w+; see `canthus doctor`"):
        TensorRt(built)


ENCODERS_OF = {"prime": FIRST, "react": LAST}


@pytest.fixture
def played(monkeypatch):
    """Loads moments on a played GPU."""
    cuda = played_gpu.Cuda()
    monkeypatch.setattr("canthus.tensorrt.memory.importlib", SimpleNamespace(import_module=lambda name: cuda))

    modules = []

    def load(which="react", **options):
        module = played_tensorrt.TensorRt(cuda, **options)
        modules.append(module)
        encoders = {part: memoryview(part.encode()) for part in ENCODERS_OF[which]}
        head = memoryview(HEAD.encode()) if which == "react" else None
        return Moment(played_tensorrt.library(module), encoders, head), module

    return SimpleNamespace(cuda=cuda, load=load, modules=modules)


def given(which="react", seed=0):
    """What a moment takes."""
    random = np.random.default_rng(seed)
    images = list(random.integers(0, 256, (2, *SHAPES["first_frame"]["image"]), np.uint8))
    return images if which == "prime" else images + list(random.random((2, 1, 5), np.float32))


def expected(which, values):
    """What it gives."""
    features = [encoded(part, image) for part, image in zip(ENCODERS_OF[which], values, strict=False)]
    return features if which == "prime" else [*answered([*values[2:], *features]), *features]


def same(answers, others):
    return len(answers) == len(others) and all(
        a.shape == b.shape and np.array_equal(a, b) for a, b in zip(answers, others, strict=True)
    )


@pytest.mark.parametrize("capturable", [True, False, "no, but it doesn't know"])
@pytest.mark.parametrize("which", ["prime", "react"])
def test_played_it_runs_one_moment_after_another(played, which, capturable):
    moment, module = played.load(which, capturable=capturable)
    assert moment.captured == (capturable is True)
    module.runs.clear()
    for seed in range(3):
        values = given(which, seed)
        assert same(moment.run(values), expected(which, values))
    parts = [*ENCODERS_OF[which], *([HEAD] if which == "react" else [])]
    assert module.runs == ([] if moment.captured else 3 * parts)  # a graph is replayed without TensorRT
    assert played.cuda.device == 3  # as this thread had it


@pytest.mark.parametrize("capturable", [True, False])
@pytest.mark.parametrize("which", ["prime", "react"])
def test_played_encoders_run_at_once_and_the_head_after_them(played, which, capturable):
    moment, _ = played.load(which, capturable=capturable)
    begun = played.cuda.order.begun
    begun.clear()
    moment.run(given(which))
    number = {name: number for number, (name, _) in begun.items()}
    before = {name: before for name, before in begun.values()}
    frame, event = ENCODERS_OF[which]
    assert number[frame] not in before[event] and number[event] not in before[frame]
    assert which == "prime" or {number[frame], number[event]} < before[HEAD]


def test_played_an_answer_stays_as_it_is(played):
    moment, _ = played.load()
    answers = moment.run(given(seed=0))
    kept = [answer.copy() for answer in answers]
    assert not same(moment.run(given(seed=1)), kept)
    assert same(answers, kept)


def test_played_steady_state_allocates_nothing(played):
    moment, _ = played.load()
    before = set(played.cuda.alive)
    played.cuda.calls.clear()
    for seed in range(3):
        moment.run(given(seed=seed))
    assert set(played.cuda.alive) == before
    waits = 3 * ["cudaStreamSynchronize"]
    launch = ["cudaGraphLaunch", "cudaStreamSynchronize"]
    assert played.cuda.calls == 3 * ["cudaGetDevice", "cudaSetDevice", *waits, *launch, "cudaSetDevice"]


def test_played_react_does_not_wait_for_prime(played):
    prime, _ = played.load("prime")
    react, _ = played.load("react")
    begun, may_end = threading.Event(), threading.Event()

    def hold(name):
        if name == "cudaStreamSynchronize" and threading.current_thread() is thread and played.cuda.order.undone:
            begun.set()
            assert may_end.wait(60)

    answers = []
    thread = threading.Thread(target=lambda: answers.append(prime.run(given("prime"))))
    played.cuda.watch = hold
    thread.start()
    assert begun.wait(60)
    assert same(react.run(given()), expected("react", given()))
    assert not answers and played.cuda.order.undone  # of `prime`
    may_end.set()
    thread.join(60)
    assert same(answers[0], expected("prime", given("prime")))


def test_played_several_threads_may_ask_at_once(played):
    moments = {which: played.load(which)[0] for which in ("prime", "react")}
    wrong = []

    def ask(i):
        which = ("prime", "react")[i % 2]
        for seed in range(10):
            values = given(which, 10 * i + seed)
            if not same(moments[which].run(values), expected(which, values)):
                wrong.append((which, i))

    at_once(4, ask)
    assert not wrong


@pytest.mark.parametrize("which", ["prime", "react"])
def test_played_all_is_released_in_order(played, which):
    moment, module = played.load(which)
    assert played.cuda.kinds() == {"stream", "event", "host", "gpu", "graph", "launchable"}
    del moment
    assert released(played, module)
    for ended in module.ended:  # the graph goes before TensorRT's objects, which may refer to it
        assert not ended.kinds & {"graph", "launchable"}


def released(played, module):
    """All is gone, in the reverse order of how it came; TensorRT's objects before their memory, and after all work."""
    return (
        not played.cuda.alive
        and [ended.name for ended in module.ended] == module.begun[::-1]
        and not any(ended.undone or ended.lost for ended in module.ended)
    )


@pytest.mark.parametrize("capturable", [True, False])
@pytest.mark.parametrize("which", ["prime", "react"])
def test_played_any_call_may_fail(played, which, capturable):
    """One error, and nothing is left: at every call that loading makes, and that running makes."""
    values = given(which)
    moment, _ = played.load(which, capturable=capturable)
    loading = len(played.cuda.calls)
    moment.run(values)
    names = list(played.cuda.calls)
    del moment
    capture = range(0)
    if capturable:
        capture = range(names.index("cudaStreamBeginCapture"), names.index("cudaGraphInstantiate") + 1)
    for at, name in enumerate(names):
        played.cuda.fail_at = None
        played.cuda.cudaSetDevice(3)
        played.cuda.calls.clear()
        played.cuda.fail_at = at
        failure = rf"^CUDA: {name} says cudaErrorMemoryAllocation; see `canthus doctor`$"
        if at in capture:  # it goes on without a graph
            moment, _ = played.load(which)
            assert not moment.captured
        elif at < loading:
            with pytest.raises(EngineError) as told:
                played.load(which, capturable=capturable)
            assert released(played, played.modules[-1]), name  # at once, not when the last has forgotten the error
            assert told.match(failure)
            continue
        else:  # and the next moment is answered as if nothing had been
            moment, _ = played.load(which, capturable=capturable)
            with pytest.raises(EngineError, match=failure):
                moment.run(given(which, 1))
            assert played.cuda.device == 3 or name == "cudaSetDevice", name
            played.cuda.calls.clear()
        assert same(moment.run(values), expected(which, values)), name
        del moment
        assert not played.cuda.alive, name


@pytest.mark.parametrize("capturable", [True, False])
def test_played_a_moment_may_go_while_the_gpu_is_at_work(played, capturable):
    """At whatever call the last run failed."""
    moment, _ = played.load(capturable=capturable)
    played.cuda.calls.clear()
    moment.run(given())
    names = list(played.cuda.calls)
    for at, name in enumerate(names):
        moment, module = played.load(capturable=capturable)
        played.cuda.calls.clear()
        played.cuda.fail_at = at
        with pytest.raises(EngineError, match=name):
            moment.run(given())
        played.cuda.fail_at = None
        del moment
        assert released(played, module), name


@pytest.mark.parametrize("capturable", [True, False])
@pytest.mark.parametrize("name", ["cudaStreamSynchronize", "cudaStreamWaitEvent", "cudaMemcpyAsync"])
def test_played_a_moment_may_be_interrupted(played, name, capturable):
    """By Ctrl-C, after any number of calls: it is told, and what is on the GPU by then disturbs nothing after it."""
    moment, _ = played.load(capturable=capturable)
    for after in range(12):
        calls = iter(range(100))

        def interrupt(called, calls=calls, after=after):
            if called == name and next(calls) == after:
                raise KeyboardInterrupt

        played.cuda.watch = interrupt
        try:
            moment.run(given(seed=1))
        except KeyboardInterrupt:
            pass
        else:
            assert after > 0 or (capturable and name != "cudaStreamSynchronize")
        played.cuda.watch = lambda name: None
        assert same(moment.run(given(seed=2)), expected("react", given(seed=2)))


def test_played_a_capture_may_be_interrupted(played):
    """Its end then is an error, as streams were not joined; it is not the one that is told."""
    moment, _ = played.load()
    names = list(played.cuda.calls)
    del moment
    for at in range(names.index("cudaStreamBeginCapture"), names.index("cudaStreamEndCapture")):
        calls = iter(range(1000))

        def interrupt(called, calls=calls, at=at):
            if next(calls) == at:
                raise KeyboardInterrupt

        played.cuda.watch = interrupt
        with pytest.raises(KeyboardInterrupt):
            played.load()
        assert released(played, played.modules[-1]), names[at]


@pytest.mark.parametrize("part", [*LAST, HEAD])
def test_played_a_part_that_can_not_run(played, part):
    moment, module = played.load(capturable=False)
    module.fail = part
    with pytest.raises(EngineError, match=rf"^{part}\.onnx: TensorRT 10\.3 can't run it \(played\)$"):
        moment.run(given(seed=1))
    module.fail = None
    assert same(moment.run(given(seed=2)), expected("react", given(seed=2)))


@pytest.mark.parametrize(
    "at, value, told",
    [
        (0, np.zeros((1, 6, 4), np.uint8), r"last_frame\.onnx: image is uint8 \(1, 6, 4\), not uint8 \(1, 4, 6\)"),
        (1, np.zeros((1, 4, 6), np.float32), r"last_event\.onnx: image is float32 \(1, 4, 6\), not uint8 \(1, 4, 6\)"),
        (2, np.zeros((1, 1), np.float32), r"head\.onnx: first_frame is float32 \(1, 1\), not float32 \(1, 5\)"),
        (3, np.zeros((2, 5), np.float32), r"head\.onnx: first_event is float32 \(2, 5\), not float32 \(1, 5\)"),
        (3, np.zeros((1, 5), np.float64), r"head\.onnx: first_event is float64 \(1, 5\), not float32 \(1, 5\)"),
    ],
)
def test_played_other_inputs_are_refused(played, at, value, told):
    moment, _ = played.load()
    values = given()
    values[at] = value
    with pytest.raises(EngineError, match=told):
        moment.run(values)


@pytest.mark.parametrize(
    "part, tensors, told",
    [
        ("first_event", {"more": (1, 2)}, r"first_event\.onnx: its plan is of .*'more'.*canthus build` again"),
        ("first_frame", {"image": (-1, 4, 6)}, r"first_frame\.onnx: its plan has image uint8 \(-1, 4, 6\)"),
        (HEAD, {"logits": (0, 7)}, r"head\.onnx: its plan has logits float32 \(0, 7\)"),
        (
            HEAD,
            {"last_event": (1, 6)},
            r"head\.onnx: its plan has last_event float32 \(1, 6\), and the encoder's gives float32 \(1, 5\)",
        ),
    ],
)
def test_played_a_plan_of_another_graph_is_refused(played, part, tensors, told):
    shapes = {**SHAPES, part: {**SHAPES[part], **tensors}}
    with pytest.raises(EngineError, match=told):
        played.load("react" if part == HEAD else "prime", shapes=shapes)
    assert released(played, played.modules[-1])


def test_played_a_batch_is_its_items(played, monkeypatch):
    plans = {part: memoryview(part.encode()) for part in PARTS}
    library = played_tensorrt.library(played_tensorrt.TensorRt(played.cuda))
    monkeypatch.setattr("canthus.runtimes.tensorrt._plans", lambda bundle: (library, plans))
    runtime = TensorRt(None)
    moments = [given(seed=seed) for seed in range(3)]
    frame, event, first_frame, first_event = (np.concatenate(values) for values in zip(*moments, strict=True))
    first = runtime.prime(frame, event)
    together = runtime.react(frame, event, first_frame, first_event)
    assert isinstance(together, Reaction)
    assert [values.shape for values in together] == [(3, 7), (3, 7), (3, 8), (3, 5), (3, 5)]
    for i, each in enumerate(moments):
        assert same([values[i : i + 1] for values in together], expected("react", each))
        assert same([values[i : i + 1] for values in first], expected("prime", each[:2]))


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
    moved = replay(Engine(bundle.manifest, runtime), Golden.from_bundle(bundle))
    assert not moved.wrong(allowed(bundle.manifest))
    assert runtime._first.captured and runtime._last.captured


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
    with pytest.raises(canthus.EngineError, match=r"head\.onnx: first_frame is float32 \(1, 1\), not float32"):
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
