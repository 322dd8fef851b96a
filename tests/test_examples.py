"""The examples run as they stand."""

import asyncio
import importlib.util
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
