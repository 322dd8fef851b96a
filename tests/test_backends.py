"""Which backend `auto` takes, and what it says of the others."""

import re
import time

import numpy as np
import pytest

import canthus
from bundles import engine_of
from canthus import backends
from canthus.bundle import read_bundle
from canthus.cli import main
from canthus.device.gpu import find_gpu
from canthus.device.requirements import missing
from canthus.manifest import MEMBERS
from canthus.network import PartsNetwork, open_network
from canthus.parts import ENCODERS, PARTS, signature
from canthus.runtimes.cuda import BoundPart, Cuda
from canthus.runtimes.onnxruntime import OnnxRuntime, session_options
from canthus.verify import Difference, Golden, allowed, replay
from cuda_device import operators_on_host

NO_GPU = "no NVIDIA GPU"


@pytest.fixture
def two_backends(monkeypatch):
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    monkeypatch.setattr(backends, "missing", {"cuda": NO_GPU, "tensorrt": NO_GPU}.get)


def test_auto_with_but_one(small_bundle, monkeypatch):
    monkeypatch.setattr(backends, "missing", {"openvino": "not installed", "cuda": NO_GPU, "tensorrt": NO_GPU}.get)
    engine = canthus.load(small_bundle)
    assert engine.backend == "onnxruntime"
    assert engine.why == f"the only one here; openvino: not installed; cuda and tensorrt: {NO_GPU}"


def test_auto_without_any(small_bundle, monkeypatch):
    monkeypatch.setattr(backends, "missing", lambda backend: "not installed")
    with pytest.raises(canthus.EngineError, match=r"no backend can run it here; onnxruntime and .*: not installed"):
        canthus.load(small_bundle)


def test_auto_takes_the_faster(small_bundle, monkeypatch, two_backends):
    monkeypatch.setattr(backends, "of_the_fastest_encoders", lambda networks, golden: None)
    for takes, taken, other in (([2.0, 1.0], "openvino", "onnxruntime"), ([1.0, 2.0], "onnxruntime", "openvino")):
        monkeypatch.setattr(backends, "milliseconds", lambda networks, golden, takes=takes: takes)
        engine = canthus.load(small_bundle)
        assert engine.backend == taken
        assert engine.why == f"a moment takes 1.0 ms; {other}: 2.0 ms; cuda and tensorrt: {NO_GPU}"


def test_auto_measures(small_bundle, two_backends):
    engine = canthus.load(small_bundle)
    mine = float(re.match(r"a moment takes ([\d.]+) ms; ", engine.why)[1])
    others = dict(re.findall(r"([a-z+]+): ([\d.]+) ms", engine.why))
    assert {"openvino", "onnxruntime"} <= {engine.backend, *others}
    assert all(0 < mine <= float(other) for other in others.values())


class Sleeper:
    """An encoder that takes so long."""

    def __init__(self, encoder, seconds):
        self.encode = lambda images: (time.sleep(seconds), encoder.encode(images))[1]


def test_each_encoder_has_the_backend_that_is_fastest_for_it(small_bundle, monkeypatch, two_backends):
    slow = {"openvino": {"first_event", "last_frame"}, "onnxruntime": {"first_frame", "last_event"}}
    opening = backends._open

    def slowed(bundle, graphs, backend, threads):
        network = opening(bundle, graphs, backend, threads)
        encoders = {part: Sleeper(one, 0.02 * (part in slow[backend])) for part, one in network.encoders.items()}
        return PartsNetwork(network.name, encoders, network.head, at_once=network.at_once)

    monkeypatch.setattr(backends, "_open", slowed)
    engine = canthus.load(small_bundle)
    assert engine.backend == "openvino+onnxruntime"
    mixed = float(re.match(r"a moment takes ([\d.]+) ms; onnxruntime: .*openvino: ", engine.why)[1])
    assert mixed < 20
    bundle = read_bundle(small_bundle)
    assert not replay(engine, Golden.from_bundle(bundle)).wrong(allowed(bundle.manifest))
    slow["openvino"] |= set(ENCODERS)
    assert canthus.load(small_bundle).backend == "onnxruntime"


def test_auto_never_takes_what_answers_otherwise(small_bundle, monkeypatch, two_backends):
    monkeypatch.setattr(backends, "milliseconds", lambda networks, golden: [float(i) for i in range(len(networks))])
    right = dict.fromkeys(ENCODERS, 0.0)
    for wrong in ("openvino", "onnxruntime"):
        for off in (0.5, float("nan")):
            for answers, features, says in (
                (off, right, f"head: its answers are {off:.1e} off, more than 0.001"),
                (0.0, {**right, "last_frame": off}, f"last_frame: its features are {off:.1e} off, more than 0.001"),
            ):
                found = {wrong: Difference(answers, features)}
                monkeypatch.setattr(
                    backends,
                    "replay",
                    lambda engine, _, found=found: found.get(engine.backend, Difference(0.0, right)),
                )
                engine = canthus.load(small_bundle)
                assert engine.backend == {"openvino": "onnxruntime", "onnxruntime": "openvino"}[wrong]
                assert f"{wrong}: {says}" in engine.why
    monkeypatch.setattr(backends, "replay", lambda engine, golden: Difference(0.5, right))
    with pytest.raises(
        canthus.EngineError, match=r"no backend here answers as it should; onnxruntime and openvino: head: its"
    ):
        canthus.load(small_bundle)
    assert canthus.load(small_bundle, check=False).backend == "onnxruntime"


def test_auto_goes_on_without_what_can_not_run(small_bundle, monkeypatch, two_backends):
    def fail(*_arguments, **_options):
        raise canthus.EngineError("no such processor")

    monkeypatch.setattr("canthus.runtimes.openvino.OpenVino.__init__", fail)
    engine = canthus.load(small_bundle)
    assert engine.backend == "onnxruntime" and "openvino: no such processor" in engine.why
    with pytest.raises(canthus.EngineError, match="no such processor"):
        canthus.load(small_bundle, "openvino")


@pytest.mark.parametrize("backend", ["cuda", "tensorrt"])
def test_a_backend_for_which_something_is_missing(small_bundle, monkeypatch, capsys, backend):
    monkeypatch.setattr(backends, "missing", missing)
    if missing(backend) is None:
        pytest.skip("nothing is missing for it here")
    assert main(["verify", "--backend", backend, str(small_bundle)]) == 2
    told = capsys.readouterr().err
    assert f"backend {backend} can't run here: {missing(backend)}" in told and told.count("\n") == 1


@pytest.mark.parametrize("backend", backends.BACKENDS)
@pytest.mark.parametrize("member", MEMBERS)
def test_a_damaged_bundle_is_run_by_none(small_bundle, tmp_path, backend, member):
    content = read_bundle(small_bundle).read(member)
    place = small_bundle.read_bytes().index(content) + len(content) // 2
    damaged = bytearray(small_bundle.read_bytes())
    damaged[place] ^= 1
    (tmp_path / "eye.canthus").write_bytes(damaged)
    with pytest.raises(canthus.BundleError, match=member):
        canthus.load(tmp_path / "eye.canthus", backend)


def test_cuda_without_a_provider_says_so(small_bundle):
    if find_gpu():
        pytest.skip("there is a GPU")
    bundle = read_bundle(small_bundle)
    with pytest.raises(canthus.EngineError, match=r"ONNX Runtime .* has no CUDA provider|CUDA provider can't start"):
        open_network(Cuda(backends.library_path()), bundle.graphs(), 2)


def test_bound_memory_gives_the_same_answers(small_bundle):
    """What `Cuda` does on a GPU, on the CPU."""
    import onnxruntime

    bundle, engine = read_bundle(small_bundle), canthus.load(small_bundle, "onnxruntime", threads=1)
    parts = {}
    for part in PARTS:
        options = session_options(1, backends.library_path())
        options.add_free_dimension_override_by_name("batch", 1)
        session = onnxruntime.InferenceSession(bundle.graphs()[part], options, providers=["CPUExecutionProvider"])
        parts[part] = BoundPart(session, "cpu", signature(part))
        parts[part].warm_up()
    bound = PartsNetwork("bound", parts, parts["head"], at_once=True)
    images = np.random.default_rng(0).integers(0, 256, (3, 2, 2, *bundle.manifest.image_size), np.uint8)
    first = [bound.prime(frame, event) for frame, event in images]
    for (frame, event), features in zip(images, first, strict=True):  # what was given before stays as it was
        expected = engine.prime(frame, event)
        assert all(np.allclose(one, other, atol=1e-5) for one, other in zip(features, expected, strict=True))
        answer = bound.react(frame, event, *features)
        assert np.allclose(answer.logits, engine.react(frame, event, expected).logits, atol=1e-4)


def test_operators_for_gpus_answer_as_the_checkpoint(small_bundle):
    """A whole bundle through the CUDA kernels, run on the CPU."""
    bundle = read_bundle(small_bundle)
    engine = engine_of(bundle, OnnxRuntime(operators_on_host()), threads=1)
    assert not replay(engine, Golden.from_bundle(bundle)).wrong(allowed(bundle.manifest))


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino", "cuda", "tensorrt"])
def test_every_backend_answers_as_the_checkpoint(small_bundle, monkeypatch, backend):
    monkeypatch.setattr(backends, "missing", missing)
    if lack := missing(backend):
        pytest.skip(lack)
    if backend == "tensorrt":
        assert main(["build", str(small_bundle)]) == 0
    bundle = read_bundle(small_bundle)
    found = replay(canthus.load(small_bundle, backend), Golden.from_bundle(bundle))
    assert not found.wrong(allowed(bundle.manifest))
