"""The examples run as they stand."""

import asyncio
import dataclasses
import importlib.util
import json
import re
from pathlib import Path

import pytest

import canthus

EXAMPLES = Path(__file__).parent.parent / "examples"


def load(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.wall_time
def test_headset(small_bundle, recording, capsys):
    load("headset").main(str(small_bundle), str(recording))
    shown, frames = re.split(r"\n(?=\d+ frames)", capsys.readouterr().out)
    assert re.search(r"\r\w+ +\d+%", shown)
    assert re.match(r"30 frames: .*'answered': \d+", frames)


@pytest.mark.wall_time
def test_headset_with_a_camera_on_its_side(small_bundle, recording, tmp_path, capsys):
    canthus.View(rotate=90).write(tmp_path / "eye.yaml")
    load("headset").main(str(small_bundle), str(recording), str(tmp_path / "eye.yaml"))
    assert re.search(r"\r\w+ +\d+%", capsys.readouterr().out)


@pytest.mark.wall_time
def test_asyncio_app(small_bundle, recording, capsys):
    asyncio.run(load("asyncio_app").main(str(small_bundle), str(recording)))
    assert re.match(r"\d+\.\d{3} s  \w+\n", capsys.readouterr().out)


@pytest.mark.wall_time
def test_episodes_app(small_bundle, recording, capsys, monkeypatch):
    app = load("episodes_app")
    labels = canthus.load(small_bundle).labels
    monkeypatch.setattr(app, "REACTIONS", dict.fromkeys(labels, "something happens"))
    app.main(str(small_bundle), str(recording))
    began, ended = capsys.readouterr().out.splitlines()[:2]
    label = began.partition(" ")[0]
    assert began == f"{label} began: something happens" and label in labels
    assert re.match(rf"{label} ended after \d\.\d s, by \d+% sure: all is as it was", ended)


def test_a_session_is_written_down_if_the_wearer_agrees(small_bundle, recording, tmp_path, capsys):
    session = load("record_session")
    path = tmp_path / "session.jsonl"
    session.main(str(small_bundle), str(recording), str(path), ask=lambda question: "no")
    assert capsys.readouterr().out == "nothing was written\n" and not list(tmp_path.iterdir())
    asked = []
    session.main(str(small_bundle), str(recording), str(path), ask=lambda question: asked.append(question) or "yes")
    assert str(path) in asked[0] and "no picture of your eye" in asked[0]
    written = [json.loads(line) for line in path.read_text().splitlines()]
    assert len([one for one in written if "steady" in one]) == 18
    assert [file.name for file in tmp_path.iterdir()] == ["session.jsonl"]


def test_what_int8_costs_as_a_picture(small_bundle, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    from bundles import written
    from canthus.calibration import Calibration, Cost
    from canthus.manifest import MEMBERS

    costs = {
        "normal": Cost(40, 99.5, 1e-4, 1e-2, 80.0, 79.5, 81.0, 80.5, 97.0, 99.9, 0.1, 40, 4),
        "Low": Cost(40, 95.0, 1e-3, 1e-1, 70.0, 68.0, 71.0, 69.0),
    }
    bundle = canthus.read_bundle(small_bundle)
    calibration = Calibration("entropy", {"normal": 4}, "", 100, {"one": "rounds"}, (), costs)
    manifest = dataclasses.replace(bundle.manifest, calibration=calibration)
    path = written(manifest, {name: bundle.read(name) for name in MEMBERS}, tmp_path / "eye8.canthus")
    example = load("int8_by_lighting")
    example.main(str(path), str(tmp_path / "int8.png"))
    assert capsys.readouterr().out.endswith("int8.png: normal 99.5 %, Low 95.0 %\n")
    assert (tmp_path / "int8.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(SystemExit, match="isn't in INT8, or nothing was measured"):
        example.main(str(small_bundle), str(tmp_path / "none.png"))


def test_a_mamba_of_ones_own(tmp_path, capsys):
    pytest.importorskip("torch")
    pytest.importorskip("matplotlib")
    load("own_mamba").main(str(tmp_path / "network.onnx"), str(tmp_path / "mamba.png"), longest=64)
    assert "network.onnx: 2 scans" in capsys.readouterr().out
    assert (tmp_path / "mamba.png").read_bytes().startswith(b"\x89PNG")


def test_from_data_to_a_bundle(tmp_path, capfd):
    pytest.importorskip("torch")
    pytest.importorskip("lightning")
    from see_folder import make_see

    see = make_see(tmp_path / "SEE", sequences=28, frames=14)
    load("data_to_bundle").main(see, tmp_path / "out", epochs=1, held_back=7)
    page = (tmp_path / "out" / "page.html").read_text()
    assert canthus.load(tmp_path / "out" / "eye.canthus").labels and "run/curves.png" in page
    for picture in re.findall(r"src='([^']+)'", page):
        assert (tmp_path / "out" / picture).is_file(), picture
    assert f"{page.count('<img')} pictures" in capfd.readouterr().out
