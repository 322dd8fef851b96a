"""OpenVINO for the encoders."""

import subprocess
import sys

import numpy as np
import pytest

import canthus
from at_once import at_once
from canthus import backends
from canthus.bundle import read_bundle
from canthus.cli import main
from canthus.verify import TOLERANCE, Golden, replay

pytest.importorskip("openvino", reason="OpenVINO is not installed")


@pytest.fixture(autouse=True)
def use_openvino(monkeypatch):
    """Elsewhere it is as if it weren't installed, see conftest.py."""
    monkeypatch.setattr(backends, "missing", {"cuda": "not in tests", "tensorrt": "not in tests"}.get)


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_it_answers_as_the_checkpoint(small_bundle, threads):
    engine = canthus.load(small_bundle, "openvino", threads)
    assert (engine.backend, engine.why) == ("openvino", "it was asked for")
    assert replay(engine, Golden.from_bundle(read_bundle(small_bundle))).answers <= TOLERANCE


def test_a_batch_is_its_items(small_bundle):
    engine = canthus.load(small_bundle, "openvino")
    frame, event = np.random.default_rng(0).integers(0, 256, (2, 3, 100, 100), np.uint8)
    together = engine.react(frame, event, engine.prime(frame, event))
    for i in range(3):
        alone = engine.react(frame[i], event[i], engine.prime(frame[i], event[i]))
        assert np.abs(alone.logits[0] - together.logits[i]).max() <= 1e-5


def test_several_threads_may_ask_at_once(small_bundle):
    engine = canthus.load(small_bundle, "openvino")
    frame, event = np.random.default_rng(0).integers(0, 256, (2, 4, 100, 100), np.uint8)
    expected = engine.prime(frame, event).frame
    wrong = []

    def ask(i):
        for _ in range(20):
            if not np.array_equal(engine.prime(frame[i], event[i]).frame[0], expected[i]):
                wrong.append(i)

    at_once(4, ask)
    assert not wrong


def test_a_new_process_starts_and_reports_to_nobody(small_bundle):
    """Two threads in its first inference would wait for ever; to import it would look for its maker's server."""
    code = (
        "import sys, time\n"
        "sys.addaudithook(lambda event, _: print(event) if event.startswith('socket') else None)\n"
        "import numpy as np, canthus\n"
        f"engine = canthus.load({str(small_bundle)!r}, 'openvino')\n"
        "image = np.zeros((100, 100), np.uint8)\n"
        "engine.react(image, image, engine.prime(image, image))\n"
        "time.sleep(1)\n"
        "print('answered')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["answered"], done.stderr


def test_verify_takes_the_backend_asked_for(small_bundle, capsys):
    assert main(["verify", "--backend", "openvino", str(small_bundle)]) == 0
    told = capsys.readouterr().out
    assert "openvino: it was asked for" in told and "ok: this machine computes" in told


def test_a_graph_that_it_can_not_run(small_bundle):
    from canthus.runtimes.openvino import OpenVino

    graph = read_bundle(small_bundle).read("last_frame.onnx").replace(b"MaxPool", b"MaxPoof")
    with pytest.raises(canthus.EngineError, match=r"last_frame\.onnx: OpenVINO .* can't run it"):
        OpenVino(None).open_encoder("last_frame", graph, 1)


def test_a_graph_that_is_no_encoder(small_bundle):
    from canthus.runtimes.openvino import OpenVino

    graph = read_bundle(small_bundle).read("last_frame.onnx").replace(b"features", b"feathers")
    with pytest.raises(canthus.EngineError, match=r"last_frame\.onnx: takes image and gives feathers, not image and"):
        OpenVino(None).open_encoder("last_frame", graph, 1)
