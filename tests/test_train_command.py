"""`canthus train` as it is run: in processes of its own, killed, interrupted, and on damaged data."""

import contextlib
import fcntl
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
from PIL import Image

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")
import canthus_model.train.start  # noqa: E402, F401
from canthus.cli import main  # noqa: E402
from interrupts import listen  # noqa: E402
from see_folder import make_see  # noqa: E402

CANTHUS = Path(sys.executable).with_name("canthus")
OPTIONS = ["--preset", "small", "--batch", "4", "--learning-rate", "3e-3", "--accelerator", "cpu"]
ONE_THREAD = os.environ | {"OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    """What is remembered of these tests' images is forgotten with them."""
    folder = str(tmp_path_factory.mktemp("cache"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", folder)
        patch.setitem(ONE_THREAD, "XDG_CACHE_HOME", folder)
        yield


@pytest.fixture(scope="module")
def see(tmp_path_factory):
    return make_see(tmp_path_factory.mktemp("see"), sequences=8, frames=8)


@pytest.fixture(scope="module")
def whole_run(see, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    done = subprocess.run(command(see, folder, 3), env=ONE_THREAD, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder, done


def command(see, folder, epochs, *options):
    return [CANTHUS, "train", str(see), "-o", str(folder), "--epochs", str(epochs), *OPTIONS, *options]


def begin_and_wait_for_a_checkpoint(see, folder, epochs):
    process = subprocess.Popen(
        command(see, folder, epochs),
        env=ONE_THREAD,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=listen,
    )
    while not (folder / "last.pth").exists():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    return process


def losses(text):
    return [float(loss) for loss in re.findall(r"epoch \d+ of \d+: loss (\d+\.\d+)", text)]


def test_what_is_said(see, whole_run):
    folder, done = whole_run
    assert done.stdout.startswith(f"{folder / 'save_3.pth'}: 3 epochs, ")
    lines = [line for line in done.stderr.splitlines() if "looking at every image" not in line]
    assert lines[0] == "the encoders start from random weights; --encoder-weights gives them others"
    assert [line[:12] for line in lines[1:]] == ["epoch 1 of 3", "epoch 2 of 3", "epoch 3 of 3"]


def on_a_terminal(arguments, columns):
    """What is written to a terminal so wide, as its lines come one after another."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = ONE_THREAD | {"TERM": "xterm", "COLUMNS": str(columns)}
    process = subprocess.Popen(arguments, env=environment, stdout=theirs, stderr=theirs)
    os.close(theirs)
    written = b""
    with contextlib.suppress(OSError):  # as it is told that the other end was closed
        while part := os.read(ours, 4096):
            written += part
    os.close(ours)
    assert process.wait(60) == 0, written
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written.decode())
    return [line for line in re.split(r"[\r\n]+", text) if line]


def test_progress_fits_a_line_of_a_terminal(see, tmp_path):
    lines = on_a_terminal(command(see, tmp_path, 2), 80)
    assert all(len(line) <= 80 for line in lines if str(tmp_path) not in line), lines
    told = "\n".join(lines)
    assert re.search(r"epoch 1 of 2 .* 2/2 loss \d\.\d{3}", told) and "epoch 2 of 2 " in told
    assert re.search(r"left about \d+ s", told)
    assert "epoch 0" not in told.lower()
    assert re.search(r"^epoch 2 of 2: loss \d\.\d{3}, testing \d+\.\d{3}; WAR \d+\.\d, UAR \d+\.\d %\s*$", told, re.M)


def test_clips_that_are_left_out_are_told_once(see, tmp_path):
    options = ["--batch", "3", "--workers", "0"]
    done = subprocess.run(command(see, tmp_path, 2, *options), env=ONE_THREAD, capture_output=True, text=True)
    told = "an epoch is 2 batches of 3: 2 of the 8 training sequences, others in each epoch, are left out\n"
    assert done.stderr.count(told) == done.stderr.count("left out") == 1


def test_two_processes_train_as_one_does(tmp_path):
    see, curves = make_see(tmp_path / "SEE", sequences=32, frames=8), []
    for devices in (1, 2):
        options = ["--batch", "16", "--learning-rate", "1e-3", "--devices", str(devices), "--workers", "0"]
        # By the plain recipe: sixteen steps are too few to learn anything from clips that lack half of themselves.
        run = command(see, tmp_path / f"run{devices}", 8, *options, "--no-each-modality")
        done = subprocess.run(run, env=ONE_THREAD, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr and "Warning" not in done.stderr
        assert done.stdout.count("save_8.pth") == 1
        curves.append(losses(done.stderr))
    # They begin alike and learn alike. Nearer they can't come, on so few pictures: each process's batch norm sees
    # half of the batch. That the batches are the same is tested with the sampler.
    one, two = curves
    assert two[0] == pytest.approx(one[0], abs=0.1)
    assert all(curve[-1] < curve[0] - 0.1 for curve in curves), curves


def test_two_nodes_train_as_two_devices_do(see, tmp_path):
    """Both on this machine; each is told which it is, as README says."""
    options = ["--batch", "4", "--workers", "0", "--threads", "1"]
    run = command(see, tmp_path / "devices", 2, *options, "--devices", "2")
    done = subprocess.run(run, env=ONE_THREAD, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    expected = losses(done.stderr)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    nodes = []
    for rank in range(2):
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "NODE_RANK": str(rank)}
        run = command(see, tmp_path / "nodes", 2, *options, "--nodes", "2")
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        nodes.append(subprocess.Popen(run, env=ONE_THREAD | place, text=True, **pipes))
    told = [node.communicate(timeout=240) for node in nodes]
    assert [node.returncode for node in nodes] == [0, 0], told
    assert losses(told[0][1]) == expected and losses(told[1][1]) == []
    assert told[0][0].startswith(f"{tmp_path / 'nodes' / 'save_2.pth'}: 2 epochs") and told[1][0] == ""
    assert {path.name for path in (tmp_path / "nodes").iterdir()} == {
        "last.pth",
        "save_2.pth",
        "weights.pth",
        "curves.png",
        "tensorboard",
    }


def test_killed_and_gone_on_with_is_as_never_killed(see, whole_run, tmp_path):
    process = begin_and_wait_for_a_checkpoint(see, tmp_path, 3)
    process.kill()
    process.wait()
    finished = torch.load(tmp_path / "last.pth", weights_only=True)["epoch"]
    go_on = [CANTHUS, "train", str(see), "-o", str(tmp_path), "--resume"]  # all else was written down
    done = subprocess.run(go_on, env=ONE_THREAD, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert losses(done.stderr) == losses(whole_run[1].stderr)[finished:]
    expected, actual = (torch.load(f / "save_3.pth", weights_only=True)["state_dict"] for f in (whole_run[0], tmp_path))
    assert all(torch.equal(actual[name], tensor) for name, tensor in expected.items())


def test_interrupted(see, tmp_path):
    process = begin_and_wait_for_a_checkpoint(see, tmp_path, 1000)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the decoding processes get it too
    error = process.communicate(timeout=150)[1]
    assert process.returncode == 130
    assert error.endswith("canthus: interrupted; nothing was left half-written\n") and "Traceback" not in error
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
    written = {path.name for path in tmp_path.iterdir()} - {"curves.png"}  # is drawn from the fifth epoch on
    assert written == {"last.pth", "weights.pth", "tensorboard"}


def broken(path):
    path.write_bytes(b"\xff\xd8 no picture \xff\xd9")  # begins and ends as a JPEG does


def of_another_size(path):
    with Image.open(path) as image:
        image.resize((128, 96)).save(path)


@pytest.mark.parametrize(
    "spoil, message",
    [(broken, "images that can't be decoded: "), (of_another_size, "images of another size than the first one, 64x48")],
)
def test_images_that_cannot_be_trained_with_are_told_before_training(tmp_path, capsys, spoil, message):
    see = make_see(tmp_path / "see", sequences=4, frames=8)
    spoil(sorted((see / "event").rglob("*.jpg"))[-1])
    assert main(command(see, tmp_path / "new" / "run", 1)[1:]) == 2
    error = capsys.readouterr().err
    assert f"1 × {message}" in error and "epoch" not in error and "Traceback" not in error
    assert not (tmp_path / "new").exists()


def test_image_that_a_decoding_process_cannot_read(tmp_path, capsys, monkeypatch):
    see = make_see(tmp_path / "see", sequences=4, frames=8)
    start = sys.modules["canthus_model.train.start"]

    def then_they_break(*arguments):
        for path in see.rglob("*.jpg"):
            broken(path)

    monkeypatch.setattr(start, "check_images", then_they_break)
    monkeypatch.setattr("canthus_model.see.moments.size_of", lambda path: (64, 48))
    assert main(command(see, tmp_path / "new" / "run", 1, "--workers", "1")[1:]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert re.fullmatch(r"canthus: error: .*\.jpg: not a readable image \(.*\); copy the data set again", last)
    assert not (tmp_path / "new").exists()  # no empty folders, and no logs of nothing


@pytest.mark.parametrize(
    "spoil, message",
    [
        (lambda see: (see / "emotion.json").unlink(), "emotion.json: no such file"),
        (lambda see: next((see / "event").rglob("00003.jpg")).unlink(), "1 × sequences with missing images"),
    ],
)
def test_data_set_that_is_not_whole(tmp_path, capsys, spoil, message):
    see = make_see(tmp_path / "see", sequences=4, frames=5)
    spoil(see)
    assert main(command(see, tmp_path / "run", 1)[1:]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "option, message",
    [
        (["--batch", "8"], "--batch 8: the run in {} was begun with --batch 4, and goes on as it was begun"),
        (["--learning-rate", "0.1"], "--learning-rate 0.1: the run in {} was begun with --learning-rate 0.003"),
        (["--seed", "1"], "--seed 1: the run in {} was begun with --seed 0"),
        (["--validation", "2"], "--validation 2: the run in {} was begun without --validation, and goes on"),
        (["--no-each-modality"], "--no-each-modality: the run in {} was begun with --each-modality, and goes on"),
        (["--preset", "paper"], "--preset paper: the run in {} was begun with --preset small"),
        (["--encoder-weights", __file__], f"--encoder-weights {__file__}: the run in {{}} began from random weights"),
        (["--epochs", "3"], "{}/last.pth: has all of its 3 epochs already; more --epochs would go on"),
        ([], "{}/last.pth: has all of its 3 epochs already; more --epochs would go on"),
    ],
    ids=str,
)
def test_an_option_that_does_not_agree_with_the_run_is_refused_at_once(see, whole_run, capsys, option, message):
    folder = whole_run[0]
    before = (folder / "last.pth").read_bytes()
    assert main(["train", str(see), "-o", str(folder), "--resume", *option]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"canthus: error: {message.format(folder)}") and error.count("\n") == 1
    assert (folder / "last.pth").read_bytes() == before


def test_options_that_agree_may_be_given_again(see, whole_run, capsys):
    given = [
        "--preset",
        "small",
        "--batch",
        "4",
        "--learning-rate",
        "3e-3",
        "--each-modality",
        "--seed",
        "0",
        "--epochs",
        "3",
    ]
    assert main(["train", str(see), "-o", str(whole_run[0]), "--resume", *given]) == 2
    assert "has all of its 3 epochs already" in capsys.readouterr().err


def test_another_data_set_is_refused_at_once(whole_run, tmp_path, capsys):
    other = make_see(tmp_path / "other", sequences=9, frames=5)
    for image in other.rglob("*.jpg"):
        image.unlink()
    assert main(["train", str(other), "-o", str(whole_run[0]), "--resume", "--epochs", "4"]) == 2
    told = f"{other}: has 9 training sequences, and the run was begun on 8; give the data set that it was begun on"
    assert told in capsys.readouterr().err


def test_encoder_weights_are_looked_at_before_the_images(see, tmp_path, capsys):
    (tmp_path / "resnet18.pth").write_bytes(b"\x80")
    options = ["--encoder-weights", str(tmp_path / "resnet18.pth"), "--batch", "4"]
    assert main(["train", str(see), "-o", str(tmp_path / "run"), *options]) == 2
    error = capsys.readouterr().err
    assert "resnet18.pth: not a checkpoint" in error and error.count("\n") == 1


@pytest.mark.parametrize(
    "option",
    [
        ["--threads", "100000"],
        ["--threads", "0"],
        ["--workers", "100000"],
        ["--batch", "0"],
        ["--seed", "9" * 19],
        ["--epochs", "x"],
        ["--learning-rate", "nan"],
        ["--learning-rate", "2"],
    ],
    ids=str,
)
def test_options_that_make_no_sense(option, capsys):
    with pytest.raises(SystemExit):
        main(["train", "see", "-o", "run", *option])
    assert option[1] in capsys.readouterr().err


def test_threads_sleep_while_they_wait(see, tmp_path):
    """What OpenMP tells of itself as torch is imported."""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    run = command(see, tmp_path, 1, "--threads", "1")
    done = subprocess.run(run, env=environment | {"OMP_DISPLAY_ENV": "true"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "OMP_WAIT_POLICY = 'PASSIVE'" in done.stderr
