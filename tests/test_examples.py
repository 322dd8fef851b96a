"""The examples run as they stand."""

import asyncio
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
