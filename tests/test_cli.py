"""The command line: what it prints, and how it refuses."""

import json

import pytest

from canthus.cli import COMMANDS, main
from canthus.parts import ENCODERS
from canthus.verify import Difference


def test_help_of_every_command_teaches(capsys):
    for command in ("", *COMMANDS):
        with pytest.raises(SystemExit) as exit:
            main([*filter(None, [command]), "--help"])
        assert exit.value.code == 0
        assert len(capsys.readouterr().out.splitlines()) >= 6, command


def test_inspect(small_bundle, capsys):
    assert main(["inspect", str(small_bundle)]) == 0
    text = capsys.readouterr().out
    assert "happiness" in text and "1.0 M" not in text and "sha256" in text
    assert main(["inspect", str(small_bundle), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["image_size"] == [100, 100]


def test_verify(small_bundle, capsys):
    assert main(["verify", str(small_bundle)]) == 0
    assert "ok: this machine computes what the checkpoint computed" in capsys.readouterr().out


def test_verify_tells_a_machine_that_computes_otherwise(small_bundle, capsys, monkeypatch):
    off = Difference(0.5, {**dict.fromkeys(ENCODERS, 0.0), "last_frame": 0.1})
    monkeypatch.setattr("canthus.cli.verify.replay", lambda engine, golden: off)
    assert main(["verify", str(small_bundle)]) == 1
    told = capsys.readouterr().out
    assert "\nlast_frame: its features are 1.0e-01 off, more than 0.001\nhead: its answers are 5.0e-01 off" in told
    assert "FAILED" in told


def test_run_on_a_recording(small_bundle, recording, capsys):
    assert main(["run", str(small_bundle), str(recording)]) == 0
    lines, told = capsys.readouterr()
    assert len(lines.splitlines()) == 18  # 30 frames, the first 12 of which have no moment 0.4 s before
    backend, summary = told.splitlines()
    assert backend.startswith("onnxruntime: the only one here; openvino")
    assert summary.startswith("18 expressions; frame to answer p50")


def test_run_for_machines(small_bundle, recording, capsys):
    assert main(["run", str(small_bundle), str(recording), "--json"]) == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(answers) == 18
    for answer in answers:
        assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-4)
        assert answer["label"] == max(answer["probabilities"], key=answer["probabilities"].get)
        assert len(answer["experts"]) == 2
        assert answer["missing"] == []


@pytest.mark.parametrize(
    "command",
    [
        ["run", "none.canthus", "recording.aedat4"],
        ["inspect", "none.canthus"],
        ["verify", "none.canthus"],
        ["export", "none.pth", "--annotation", "none.json", "-o", "eye.canthus"],
        ["synthesize", "eye.avi"],
    ],
)
def test_bad_input_is_one_clear_error(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(command) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert error.startswith("canthus: error: ") and "Traceback" not in error
    assert list(tmp_path.iterdir()) == []


def test_recording_that_is_none(small_bundle, tmp_path, capsys):
    path = tmp_path / "junk.aedat4"
    path.write_bytes(b"junk")
    assert main(["run", str(small_bundle), str(path)]) == 2
    assert "junk.aedat4" in capsys.readouterr().err
