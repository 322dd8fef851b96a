"""`canthus bench`, run: against a stand-in engine whose trouble is known, and a real bundle by its command."""

import getpass
import importlib.util
import json
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from canthus import View
from canthus._native import Resize
from canthus.bench.content import Loop, recorded
from canthus.bench.measure import measure_engine
from canthus.bench.settings import Settings
from canthus.cli import main
from canthus.events import Events
from canthus.sources import Frame, Images
from canthus.sources.faulty import FAULTS
from interrupts import listen
from see_folder import make_see
from test_stream import StandInEngine

pytestmark = pytest.mark.alone


class Engine(StandInEngine):
    """Answers at once, but for what `trouble(n)` does at the n-th answer."""

    backend = "stand-in"
    manifest = SimpleNamespace(sha256={"react.onnx": "ab"})

    def __init__(self, trouble=lambda n: None):
        super().__init__()
        self.trouble = trouble

    def react(self, frame, event, first):
        answer = super().react(frame, event, first)
        self.trouble(len(self.reacted))
        return answer


def small_loop(frames_per_second=100, frames=50, sensor=(34, 26), events=20, view=None):
    """Little to do, so that the machine is no part of what is measured."""
    random = np.random.default_rng(0)
    times = [round(i * 1e6 / frames_per_second) for i in range(1, frames + 1)]
    count = events * frames
    x, y = (random.integers(0, size, count).astype(np.uint16) for size in sensor)
    t = np.sort(random.integers(1, times[-1] + 1, count))
    image = random.integers(0, 256, (frames, *sensor[::-1]), np.uint8)
    return Loop(
        sensor,
        Events(t, x, y, random.integers(0, 2, count).astype(np.uint8)),
        [Frame(i, at) for i, at in zip(image, times, strict=True)],
        "small",
        view,
    )


REFERENCE = 120  # the engine gives fewer answers before the run, for the synchronous stream's 3 laps


def measure(engine, loop=None, **settings):
    return measure_engine(engine, Settings(**{"seconds": 1.5, **settings}), loop or small_loop())


@pytest.mark.wall_time
def test_books_balance_and_answers_are_the_synchronous_streams():
    result = measure(Engine())
    assert result.passed, result.checks
    frames = result.ledgers["frames"]
    assert frames.balanced and frames.waiting == 0
    assert frames.came == result.figures["frames"] + 100  # 1 s to warm up
    assert result.figures["frames"] == 150 == sum(count for *_, count in result.latencies)
    (compared,) = [check.found for check in result.checks if check.name == "same answers"]
    assert int(compared.split()[0]) > 75  # of 250; a busy machine may have left out some
    assert set(result.stages) == {"pushed late", "waiting", "accumulate", "resize", "react", "prime"}
    assert {"processor", "cores"} < set(result.settings)


@pytest.mark.wall_time
def test_an_engine_that_hangs_once_shows_in_the_frames_that_waited():
    """At 100 frames a second a pause of 300 ms makes 30 of 150 wait, half of them more than 150 ms."""
    paused = REFERENCE + 120
    result = measure(Engine(lambda n: time.sleep(0.3) if n == paused else None), deadline_us=1_000_000)
    assert result.figures["latency_p90_us"] > 100_000
    assert result.figures["latency_max_us"] >= 300_000
    assert result.figures["missed_frames"] >= 25
    assert result.ledgers["frames"].ended["superseded"] >= 25
    assert result.passed  # it is slow, not wrong


def test_answers_that_differ_fail():
    class Drifting(Engine):
        def react(self, frame, event, first):
            answer = super().react(frame, event, first)
            if len(self.reacted) > REFERENCE:
                answer.probabilities[0, 0] = np.nextafter(answer.probabilities[0, 0], np.float32(2))
            return answer

    result = measure(Drifting())
    assert [check.name for check in result.checks if not check.passed] == ["same answers"]


def test_an_engine_that_breaks_gives_figures_and_a_failed_check():
    engine = Engine(lambda n: setattr(engine, "broken", n > REFERENCE))
    result = measure(engine, seconds=0.5)
    assert [check.name for check in result.checks if not check.passed] == ["answered"]
    assert result.figures["missed_frames"] == 50 and result.figures["latency_p50_us"] > 200_000
    assert result.ledgers["frames"].balanced


@pytest.mark.wall_time
def test_flat_out_pushes_when_the_answer_is_there():
    result = measure(Engine(lambda n: time.sleep(0.005)), flat_out=True, seconds=1)
    assert 20 < result.figures["answers_per_second"] < 200  # 5 ms each at least; the machine may be busy
    assert result.figures["missed_share"] < 0.05
    assert "superseded" not in result.ledgers["frames"].ended
    assert result.passed, result.checks


def test_faults_are_put_in_and_the_books_balance():
    result = measure(Engine(), faults=tuple(FAULTS), seconds=2)
    assert result.passed, result.checks
    assert {check.name for check in result.checks} == {"answered", "books balance"}
    assert result.ledgers["packets"].ended.keys() >= {"malformed"} and result.figures["missed_frames"] > 0


@pytest.mark.wall_time
def test_what_is_measured_is_seen_through_the_view():
    engine, loop = Engine(), small_loop(view=View((3, 4, 20, 15), 90, True))
    result = measure(engine, loop)
    assert result.passed, result.checks
    frames = [packet.image for _, packet in zip(range(400), loop, strict=False) if isinstance(packet, Frame)]
    resize = Resize(34, 26, (3, 4, 23, 19), 10, 10, True, 1)
    shown = {resize(np.ascontiguousarray(frame)).tobytes() for frame in frames}
    assert {frame.tobytes() for frame, _, _ in engine.reacted[:20] + engine.reacted[-20:]} <= shown
    assert "View(roi=(3, 4, 20, 15), rotate=90, mirror=True)" in result.settings["content"]


@pytest.mark.wall_time
def test_speed_pushes_the_same_content_in_less_time():
    start = time.monotonic()
    result = measure(Engine(), small_loop(frames_per_second=40, frames=20), speed=4, seconds=0.5)
    assert time.monotonic() - start < 3
    assert result.figures["frames"] == 80
    assert result.ledgers["frames"].came == 120


def test_images_of_a_see_sequence_are_a_load_too(tmp_path):
    see = make_see(tmp_path / "SEE", sequences=1, frames=20)
    folder = next(path.parent for path in see.glob("frame/*/*/*.jpg"))
    loop = recorded(folder)
    assert loop.frames_per_second == pytest.approx(30, rel=0.01) and loop.events_per_second == 0
    arrivals = [packet for _, packet in zip(range(30), loop, strict=False)]
    assert all(isinstance(packet, Images) for packet in arrivals)
    assert (np.diff([packet.time_us for packet in arrivals]) > 30_000).all()
    result = measure(Engine(), loop, seconds=0.5)
    assert result.passed and result.figures["frames"] in (14, 15, 16), result.checks


def test_a_recording_is_cut_into_the_packets_of_a_camera(recording):
    loop = recorded(recording)
    assert loop.name == recorded(recording).name and loop.name.startswith("recording ")
    assert loop.frames_per_second == pytest.approx(30, rel=0.01) and loop.events_per_second > 10_000
    spans = [int(p.t[-1] - p.t[0]) for _, p in zip(range(500), loop, strict=False) if isinstance(p, Events)]
    assert max(spans) < 4000 and len(spans) > 100


# The command


@pytest.fixture(scope="module")
def measured(small_bundle, tmp_path_factory):
    """A short run's figures and page."""
    folder = tmp_path_factory.mktemp("bench")
    files = ["--json", str(folder / "now.json"), "--report", str(folder / "now.html")]
    assert main(["bench", str(small_bundle), *LOAD, *files]) == 0
    return folder


LOAD = ["--duration", "1s", "--fps", "30", "--events-per-second", "1e5", "--threads", "1", "--deadline", "2s"]


def test_figures_and_page_are_written_whole(measured):
    document = json.loads((measured / "now.json").read_text())
    assert (document["format"], document["version"]) == ("canthus bench", 1)
    assert document["settings"]["frames_per_second"] == 30 and document["figures"]["latency_p50_us"] > 0
    assert document["figures"]["latency_p99_us"] is None  # of 30 frames
    frames = document["ledgers"]["frames"]
    assert frames["came"] == sum(frames["ended"].values()) and frames["waiting"] == 0
    text = (measured / "now.html").read_text()
    assert text.rstrip().endswith("</html>") and text.count("<svg") >= 8
    assert sorted(path.name for path in measured.iterdir()) == ["now.html", "now.json"]
    everything = text + json.dumps(document)
    assert platform.node() not in everything and f"/{getpass.getuser()}/" not in everything
    assert str(measured.parent) not in everything


@pytest.mark.wall_time
def test_the_same_again_is_no_regression_and_half_the_time_before_is_one(measured, small_bundle, tmp_path, capsys):
    command = ["bench", str(small_bundle), *LOAD, "--baseline", str(measured / "now.json"), "--max-regression", "5000%"]
    assert main(command) == 0
    assert "latency p50" in capsys.readouterr().out
    document = json.loads((measured / "now.json").read_text())
    document["figures"]["latency_p50_us"] /= 1000
    document["versions"]["canthus"] = "0.0.1"
    before = tmp_path / "before.json"
    before.write_text(json.dumps(document))
    command = ["bench", str(small_bundle), *LOAD, "--baseline", str(before), "--report", str(tmp_path / "page.html")]
    assert main(command) == 1
    out = capsys.readouterr().out
    (line,) = [line for line in out.splitlines() if line.startswith("latency p50")]
    assert "WORSE by more than 10%" in line
    assert "note: canthus 0.0.1 before" in out
    assert "missed" in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize(
    "message, arguments",
    [
        ("frames per second 30.0 there, 60.0 here", [*LOAD, "--fps", "60", "--baseline", "now.json"]),
        ("threads 1 there, 2 here", [*LOAD, "--threads", "2", "--baseline", "now.json"]),
        ("not written by canthus bench", ["--baseline", "other.json"]),
        ("none.json", ["--baseline", "none.json"]),
        ("can't be written there", ["--json", "no/such/folder/now.json"]),
        ("can't be written there", ["--report", "."]),
        ("1h", ["--duration", "long"]),
        ("10%", ["--max-regression", "little"]),
        ("leave --duration away", ["--duration", "1m", "--soak", "1h"]),
        ("leave --fps", ["eye.aedat4", "--fps", "30"]),
        ("no such file", ["eye.aedat4"]),
        ("threads is 0", ["--threads", "0"]),
        ("no fault is called 'gremlins'", ["--faults", "drops, gremlins"]),
    ],
)
def test_bad_input_is_told_before_anything_runs(measured, small_bundle, monkeypatch, capsys, message, arguments):
    monkeypatch.chdir(measured)
    Path("other.json").write_text("{}")
    assert main(["bench", str(small_bundle), *arguments]) == 2
    out, error = capsys.readouterr()
    Path("other.json").unlink()
    assert out == "" and message in error
    assert error.startswith("canthus: error: ")  # what runs says first that it does
    assert len(list(measured.iterdir())) == 2


def test_ctrl_c_leaves_nothing_behind(small_bundle, tmp_path):
    program = [sys.executable, "-c", "import sys, canthus.cli; sys.exit(canthus.cli.main())"]
    command = [*program, "bench", str(small_bundle), "--duration", "1h", "--json", "now.json", "--report", "now.html"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, preexec_fn=listen)
    told = [process.stderr.readline() for _ in range(2)]
    assert " ms; " in told[0] or "the only one here" in told[0]
    assert told[1].startswith("measuring 30 frames")
    time.sleep(1.5)  # into the run
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130
    error = process.stderr.read()
    assert "interrupted" in error and "Traceback" not in error
    assert list(tmp_path.iterdir()) == []


def test_the_latency_gate(small_bundle, capsys):
    path = Path(__file__).parent.parent / "examples" / "latency_gate.py"
    spec = importlib.util.spec_from_file_location("latency_gate", path)
    gate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(gate)
    few = Settings(seconds=0.5, events_per_second=1e5)
    assert gate.main(str(small_bundle), "100000", few) == 1  # too few frames to tell
    enough = Settings(seconds=4.1, frames_per_second=250, events_per_second=1e5, deadline_us=10_000_000)
    assert gate.main(str(small_bundle), "100000", enough) == 0
    assert "the limit is 100000 ms" in capsys.readouterr().out
