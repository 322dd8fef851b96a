"""INT8 gives the same answers on every processor, and what doesn't is refused."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

import canthus
from bundles import engine_of, written
from canthus import _native, backends
from canthus.bundle import read_bundle
from canthus.cli import main
from canthus.manifest import MEMBERS
from canthus.operators import library_path
from canthus.runtimes import onnxruntime as runtime
from canthus.verify import Golden, answered, lead_moved, replay
from canthus_calibration.agreement import closest_lead
from canthus_calibration.targets import TARGETS
from canthus_calibration.weight_scales import NARROW, WIDE, weight_scales
from int8_bundle import ALLOWED, make_int8

SATURATES = not _native.multiplies_int8_exactly()
EMULATOR = Path(__file__).parent.parent / "build" / "emulation" / "bin" / "qemu-x86_64"


@pytest.fixture(scope="module")
def int8(small_bundle, tmp_path_factory):
    return make_int8(read_bundle(small_bundle), tmp_path_factory.mktemp("int8") / "eye.canthus")


@pytest.fixture
def careless(monkeypatch):
    """ONNX Runtime as it is by itself: on an x86 without VNNI, it saturates."""
    if not SATURATES:
        pytest.skip("this processor adds products of bytes in 32 bits, whatever it is told")
    monkeypatch.setattr(runtime, "multiplies_int8_exactly", lambda: True)


def moved(path, backend="onnxruntime"):
    return replay(canthus.load(path, backend, check=False), Golden.from_bundle(read_bundle(path))).answers


@pytest.mark.parametrize("target", TARGETS)
def test_this_processor_answers_as_exact_arithmetic_does(small_bundle, tmp_path, target):
    assert moved(make_int8(read_bundle(small_bundle), tmp_path / "eye.canthus", target)) <= ALLOWED


def test_without_vnni_8_bit_weights_would_saturate(int8, careless):
    assert moved(int8) > 3 * ALLOWED


def test_7_bit_weights_never_do(small_bundle, tmp_path, careless):
    assert moved(make_int8(read_bundle(small_bundle), tmp_path / "eye.canthus", narrow=True)) <= ALLOWED


def test_7_bit_weights_never_do_in_openvino_either(small_bundle, tmp_path, monkeypatch):
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    monkeypatch.setattr(backends, "missing", {}.get)
    assert moved(make_int8(read_bundle(small_bundle), tmp_path / "eye.canthus", narrow=True), "openvino") <= ALLOWED


@pytest.mark.skipif(not EMULATOR.exists(), reason="no emulator: tests/emulation/qemu.sh brings it")
@pytest.mark.parametrize("processor", ["Haswell", "Nehalem"])  # AVX2 without VNNI, and SSE alone
def test_other_processors_answer_the_same(int8, processor):
    """The whole SDK under emulation: loading replays the golden vectors and compares."""
    code = (
        "import sys, canthus\n"
        "from canthus import _native\n"
        "from canthus.verify import Golden, allowed, replay\n"
        "bundle = canthus.read_bundle(sys.argv[1])\n"
        "engine = canthus.load(sys.argv[1], 'onnxruntime', check=False)\n"
        "wrong = replay(engine, Golden.from_bundle(bundle)).wrong(allowed(bundle.manifest))\n"
        "print(_native.instruction_sets()[0], _native.multiplies_int8_exactly(), wrong)\n"
    )
    command = [str(EMULATOR), "-cpu", processor, sys.executable, "-c", code, str(int8)]
    environment = {**os.environ, "OPENBLAS_CORETYPE": processor}
    told = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert told.returncode == 0, told.stderr
    instructions, exact, wrong = told.stdout.split()
    assert instructions == {"Haswell": "avx2", "Nehalem": "baseline"}[processor] and exact == "False"
    assert wrong == "{}"


def test_what_answers_otherwise_is_refused(int8, tmp_path, monkeypatch, capsys):
    """Arithmetic broken on purpose: the weights of one encoder are a tenth too small. It is named."""
    bundle = read_bundle(int8)
    members = {name: bundle.read(name) for name in MEMBERS}
    model = onnx.load_from_string(members["last_event.onnx"])
    for value in model.graph.initializer:
        if value.name.endswith("weight_scale"):
            less = onnx.numpy_helper.to_array(value) * np.float32(0.9)
            value.CopyFrom(onnx.numpy_helper.from_array(less, value.name))
    members["last_event.onnx"] = model.SerializeToString()
    broken = written(bundle.manifest, members, tmp_path / "broken.canthus")
    refusal = r"last_event: its features are \S+ off, more than 0\.1; head: its answers .*; export it for this device"
    for backend in ("auto", "onnxruntime"):
        with pytest.raises(canthus.EngineError, match=refusal):
            canthus.load(broken, backend)
    assert canthus.load(broken, check=False).backend == "onnxruntime"
    assert main(["verify", str(broken)]) == 1
    assert "FAILED" in capsys.readouterr().out
    assert main(["verify", str(int8)]) == 0


def test_saturation_is_refused(int8, careless, capsys):
    with pytest.raises(canthus.EngineError, match="its answers are"):
        canthus.load(int8)
    assert main(["verify", str(int8)]) == 1
    assert re.search(r"an answer's lead moves, in the worst light, by \S+, allowed 0\.1", capsys.readouterr().out)


def test_float32_is_named_where_it_is_faster(int8, monkeypatch):
    for takes, faster in (([2.0, 1.0], True), ([1.0, 2.0], False)):
        monkeypatch.setattr(backends, "milliseconds", lambda networks, golden, takes=takes: takes)
        why = canthus.load(int8).why
        assert why.startswith(f"a moment takes {takes[0]:.1f} ms")
        assert ("float32 would take 1.0 ms: on this processor a float32 bundle is faster" in why) == faster


def test_float32_is_measured_in_float32(int8, small_bundle):
    """What INT8 is compared with rounds no activation: it is nearer to the float32 bundle than INT8 is."""
    bundle, golden = read_bundle(int8), Golden.from_bundle(read_bundle(small_bundle))
    in_float32 = engine_of(bundle, runtime.OnnxRuntime(library_path(), in_float32=True))
    off = [
        np.square(answered(engine, golden).features - golden.features).mean()
        for engine in (in_float32, canthus.load(int8, check=False))
    ]
    assert off[0] < off[1]


@pytest.mark.parametrize("largest", [NARROW, WIDE])
def test_weights_take_the_codes_that_they_may(largest):
    weight = np.random.default_rng(0).normal(size=(8, 3, 3, 3)).astype(np.float32)
    weight[1] = 0
    codes = np.rint(weight / weight_scales(weight, largest)[:, None, None, None])
    assert np.abs(codes).max(axis=(1, 2, 3)).tolist() == [largest if place != 1 else 0 for place in range(8)]


def test_two_products_of_7_bit_weights_fit_in_16_bits():
    assert 2 * 255 * NARROW <= np.iinfo(np.int16).max < 2 * 255 * WIDE


def test_the_hundredth_closest_answer_tells_how_much_changes_one_in_a_hundred():
    """A move of every lead by that much changes one answer in a hundred in the lighting where they are closest."""
    random = np.random.default_rng(0)
    logits = random.normal(size=(4000, 7)) * np.repeat([1.0, 3.0], 2000)[:, None]
    lighting = np.repeat([0, 1], 2000)
    lead = closest_lead(np.exp(logits) / np.exp(logits).sum(1, keepdims=True), lighting)
    moved = logits.copy()
    moved[np.arange(4000), logits.argmax(1)] -= lead
    changed = [(moved.argmax(1) != logits.argmax(1))[lighting == place].mean() for place in (0, 1)]
    assert changed[0] == pytest.approx(0.01, abs=1e-3) and changed[1] < 0.005


def test_the_lead_that_moves_most_counts_in_the_light_that_fares_worst():
    golden = Golden(
        *(np.zeros((4, 2, 1, 1), np.uint8),) * 2,
        np.zeros((4, 4, 1), np.float32),
        np.zeros((4, 3), np.float32),
        np.array([0, 0, 1, 1], np.uint8),
    )
    golden.logits[:, 1] = 2
    assert lead_moved(golden.logits + 5, golden) == 0  # all alike: no answer changes
    off = golden.logits.copy()
    off[2, 0] = 1
    off[0, 1] = 2.5
    assert lead_moved(off, golden) == 0.5
    off[3, 2] = np.nan
    assert lead_moved(off, golden) == np.inf


def test_golden_windows_are_seen_in_every_light(small_bundle):
    golden = Golden.from_bundle(read_bundle(small_bundle))
    brightness = [golden.frame[golden.light == light].mean() for light in range(4)]
    normal, overexposed, low, hdr = brightness
    assert low < 10 < 50 < normal < 150 < 220 < overexposed and 50 < hdr < 200


def test_the_golden_eyes_are_those_of_the_script():
    import golden_eyes

    from canthus_exporter.golden import EYES

    with np.load(EYES) as arrays:
        frame, event = golden_eyes.window_of(5)
        assert np.abs(frame.astype(int) - arrays["frame"][5]).max() <= 1
        assert np.mean(event != arrays["event"][5]) < 0.01


def test_a_bundle_whose_golden_windows_have_no_light_is_refused(small_bundle, tmp_path):
    bundle = read_bundle(small_bundle)
    golden = Golden.from_bundle(bundle)
    members = {name: bundle.read(name) for name in MEMBERS} | {
        "golden.npz": replace(golden, light=golden.light[1:]).to_bytes()
    }
    odd = written(bundle.manifest, members, tmp_path / "odd.canthus")
    with pytest.raises(canthus.BundleError, match=r"golden\.npz doesn't fit"):
        Golden.from_bundle(read_bundle(odd))
