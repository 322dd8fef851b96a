"""Threads don't survive a fork: what was made before it says so, and nothing waits for ever."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")

FORKED = """
import os, sys, threading
import numpy as np, canthus

{made}
child = os.fork()
if child == 0:
    try:
        {used}
        print("nothing was said")
    except canthus.Error as error:
        print(type(error).__name__, error)
    sys.stdout.flush()
    {last}
    os._exit(0)
threading.Timer(60, lambda: os.kill(child, 9)).start()
print("child ended with", os.waitpid(child, 0)[1])
{after}
sys.stdout.flush()
os._exit(0)
"""
IMAGE = "image = np.zeros((100, 100), np.uint8)"


def fork(made, used, last="pass", after="pass"):
    code = FORKED.format(made=made, used=used, last=last, after=after)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert "child ended with 0" in done.stdout, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("used", ["engine.prime(image, image)", "engine.react(image, image, first)"])
def test_an_engine(small_bundle, backend, used):
    if backend == "openvino":
        pytest.importorskip("openvino", reason="OpenVINO is not installed")
    engine = f"{IMAGE}; engine = canthus.load({str(small_bundle)!r}, {backend!r}); first = engine.prime(image, image)"
    told = fork(engine, used, after="print('the parent answers', len(engine.react(image, image, first).logits))")
    assert "EngineError this engine was loaded before the process was forked" in told and "canthus.load" in told
    assert "the parent answers 1" in told


def test_an_engine_that_the_child_loads_itself(small_bundle):
    load = f"engine = canthus.load({str(small_bundle)!r}, 'onnxruntime')"
    told = fork(f"{IMAGE}; {load}", f"{load}; print(engine.prime(image, image).frame.shape)")
    assert "(1, 200)" in told and "nothing was said" in told


def test_a_child_that_ends_as_processes_do(small_bundle):
    """What it was forked with is not ended with it, which would wait for threads."""
    engine = f"{IMAGE}; engine = canthus.load({str(small_bundle)!r}, 'onnxruntime'); engine.prime(image, image)"
    fork(engine, "del engine", last="sys.exit(0)")


@pytest.mark.parametrize(
    "used",
    [
        "live.push_frame(frame, 2)",
        "live.push_events(*[np.zeros(1, np.int64)] * 4)",
        "live.push_images(frame, frame, 2)",
        "live.drain(1)",
        "live.health",
        "next(iter(live))",
    ],
)
def test_a_live_stream(small_bundle, used):
    made = (
        f"live = canthus.LiveStream(canthus.load({str(small_bundle)!r}, 'onnxruntime'))\n"
        "frame = np.ones((260, 346), np.uint8); live.push_frame(frame, 1)\n"
        "live._inbox.arrived.acquire()"  # as if the worker held it when the process was forked
    )
    after = "live._inbox.arrived.release(); live.push_frame(frame, 40_000); print('the parent', live.drain(10))"
    told = fork(made, used, last="live.close()", after=after)
    assert "LiveError this stream was made before the process was forked" in told
    assert "the parent True" in told
