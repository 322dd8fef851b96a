"""The command line: what it prints, and how it refuses."""

import json
import os
import subprocess
import sys
from pathlib import Path

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


def test_no_help_needs_pytorch():
    """As on a device: `canthus COMMAND --help` teaches there, too."""
    code = (
        "import sys\n"
        # None: it isn't there.
        "sys.modules |= dict.fromkeys(('torch', 'onnx', 'onnxscript', 'lightning', 'matplotlib'))\n"
        "from canthus.cli import COMMANDS, _parser\n"
        "for command in COMMANDS: _parser(command).format_help()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


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
    backend, camera, summary = told.splitlines()
    assert camera == "camera DAVIS346_synthetic"
    assert backend.startswith("onnxruntime: the only one here; openvino")
    assert summary.startswith("18 expressions; frame to answer p50")


def test_run_tells_changes_and_one_answer_a_second(small_bundle, recording, capsys):
    assert main(["run", str(small_bundle), str(recording), "--json"]) == 0
    every = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert main(["run", str(small_bundle), str(recording), "--json", "--changes"]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert 1 <= len(told) < len(every) and told[0]["time_us"] == every[0]["time_us"]
    last, expected = None, []
    for one in every:
        if last is None or one["steady"] != last["steady"] or one["time_us"] - last["time_us"] >= 1_000_000:
            expected.append(one["time_us"])
            last = one
    assert [one["time_us"] for one in told] == expected
    with pytest.raises(SystemExit):
        main(["run", str(small_bundle), str(recording), "--changes", "--episodes"])


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


def canthus_command(*arguments, **options):
    command = [sys.executable, "-c", "import sys; from canthus.cli import main; sys.exit(main())"]
    return subprocess.run([*command, *map(str, arguments)], text=True, stderr=subprocess.PIPE, **options)


@pytest.mark.parametrize("arguments", [("run",), ("run", "--json"), ("inspect",), ("verify",), ("doctor",)])
def test_output_that_can_not_be_written_is_one_error(small_bundle, recording, arguments):
    """As on a full disk, at once or when the last of it is written."""
    paths = {"run": (small_bundle, recording), "inspect": (small_bundle,), "verify": (small_bundle,)}
    with Path("/dev/full").open("w") as full:
        done = canthus_command(*arguments, *paths.get(arguments[0], ()), stdout=full)
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert last.startswith("canthus: error: ") and "No space left on device" in last
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_what_the_terminal_has_no_character_for_is_replaced(small_bundle, recording, encoding):
    done = canthus_command(
        "run", small_bundle, recording, stdout=subprocess.PIPE, env={**os.environ, "PYTHONIOENCODING": encoding}
    )
    assert done.returncode == 0 and "Traceback" not in done.stderr
    assert len(done.stdout.splitlines()) == 18 and "%" in done.stdout and "?" in done.stdout
