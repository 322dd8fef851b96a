"""Which backend `auto` takes, and what it says of the others."""

import re

import numpy as np
import pytest

import canthus
from canthus import backends
from canthus.bundle import read_bundle
from canthus.cli import main
from canthus.device.gpu import find_gpu
from canthus.device.requirements import missing
from canthus.engine import Engine
from canthus.manifest import MEMBERS
from canthus.runtimes.cuda import BoundGraph, Cuda
from canthus.runtimes.onnxruntime import PRIME, REACT, OnnxRuntime, session_options
from canthus.verify import Golden, replay, tolerance
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
    for takes, taken, other in (([2.0, 1.0], "openvino", "onnxruntime"), ([1.0, 2.0], "onnxruntime", "openvino")):
        monkeypatch.setattr(backends, "_milliseconds", lambda engines, golden, takes=takes: takes)
        engine = canthus.load(small_bundle)
        assert engine.backend == taken
        assert engine.why == f"a moment takes 1.0 ms; {other}: 2.0 ms; cuda and tensorrt: {NO_GPU}"


def test_auto_measures(small_bundle, two_backends):
    engine = canthus.load(small_bundle)
    other = {"openvino": "onnxruntime", "onnxruntime": "openvino"}[engine.backend]
    mine, others = map(float, re.search(rf"takes ([\d.]+) ms; {other}: ([\d.]+) ms", engine.why).groups())
    assert 0 < mine <= others


def test_auto_never_takes_what_answers_otherwise(small_bundle, monkeypatch, two_backends):
    monkeypatch.setattr(backends, "_milliseconds", lambda engines, golden: [float(i) for i in range(len(engines))])
    for wrong in ("openvino", "onnxruntime"):
        for off in (0.5, float("nan")):
            monkeypatch.setattr(
                backends, "replay", lambda engine, golden, wrong=wrong, off=off: off if engine.backend == wrong else 0.0
            )
            engine = canthus.load(small_bundle)
            assert engine.backend == {"openvino": "onnxruntime", "onnxruntime": "openvino"}[wrong]
            assert f"{wrong}: its answers are {off:.1e} off, more than 0.001" in engine.why
    monkeypatch.setattr(backends, "replay", lambda engine, golden: 0.5)
    with pytest.raises(
        canthus.EngineError, match=r"no backend here answers as it should; onnxruntime and openvino: its"
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
        Cuda(bundle.read("prime.onnx"), bundle.read("react.onnx"), backends.library_path())


def test_bound_memory_gives_the_same_answers(small_bundle):
    """What `Cuda` does on a GPU, on the CPU."""
    import onnxruntime

    bundle, engine = read_bundle(small_bundle), canthus.load(small_bundle, "onnxruntime", threads=1)
    graphs = []
    for name, (_, outputs) in (("prime.onnx", PRIME), ("react.onnx", REACT)):
        options = session_options(1, backends.library_path())
        options.add_free_dimension_override_by_name("batch", 1)
        session = onnxruntime.InferenceSession(bundle.read(name), options, providers=["CPUExecutionProvider"])
        graphs.append(BoundGraph(session, "cpu", outputs))
        graphs[-1].warm_up()
    images = np.random.default_rng(0).integers(0, 256, (3, 2, 1, *bundle.manifest.image_size), np.uint8)
    first = [graphs[0].run({"frame": frame, "event": event}) for frame, event in images]
    for (frame, event), features in zip(images, first, strict=True):  # what was given before stays as it was
        expected = engine.prime(frame, event)
        assert all(np.allclose(one, other, atol=1e-5) for one, other in zip(features, expected, strict=True))
        answer = graphs[1].run({"frame": frame, "event": event, "first_frame": features[0], "first_event": features[1]})
        assert np.allclose(answer[0], engine.react(frame, event, expected).logits, atol=1e-4)


def test_operators_for_gpus_answer_as_the_checkpoint(small_bundle):
    """A whole bundle through the CUDA kernels, run on the CPU."""
    bundle = read_bundle(small_bundle)
    runtime = OnnxRuntime(bundle.read("prime.onnx"), bundle.read("react.onnx"), 1, operators_on_host())
    assert replay(Engine(bundle.manifest, runtime), Golden.from_bundle(bundle)) <= tolerance(bundle.manifest)


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino", "cuda", "tensorrt"])
def test_every_backend_answers_as_the_checkpoint(small_bundle, monkeypatch, backend):
    monkeypatch.setattr(backends, "missing", missing)
    if lack := missing(backend):
        pytest.skip(lack)
    if backend == "tensorrt":
        assert main(["build", str(small_bundle)]) == 0
    bundle = read_bundle(small_bundle)
    assert replay(canthus.load(small_bundle, backend), Golden.from_bundle(bundle)) <= tolerance(bundle.manifest)
