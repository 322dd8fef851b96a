"""The synthetic data set: SEE's layout, repeatable, complete or not there at all."""

import collections
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

import canthus
from canthus._native import EventWindow
from canthus.events import prepare
from canthus_model.config import LABELS
from canthus_model.see.annotation import TESTING, TRAINING
from canthus_model.see.dataset import ANNOTATION, image_path, open_see
from canthus_model.see.names import LIGHTINGS
from canthus_model.synthesize import data_set
from canthus_model.synthesize.data_set import plan, write_data_set, write_sequence
from interrupts import listen

dv_processing = pytest.importorskip("dv_processing", reason="AEDAT4 needs dv-processing")


def test_the_plan_has_every_expression_in_every_lighting_of_every_volunteer():
    planned = plan(8, 0)
    count = collections.Counter((p.name.volunteer, p.name.emotion, p.name.lighting) for p in planned)
    volunteers = [f"{n:03}" for n in range(1, 9)]
    assert count == {(v, label, lighting): 1 for v in volunteers for label in LABELS for lighting in LIGHTINGS}
    assert {p.name.volunteer for p in planned if p.subset == TESTING} == {"004", "008"}
    assert [p.name.sequence for p in planned] == list(range(1, 8 * 28 + 1))
    lengths = [p.name.length for p in plan(48, 0)]
    assert 18 <= min(lengths) < 30 and 80 < max(lengths) <= 131 and 45 < np.mean(lengths) < 52
    assert planned == plan(8, 0) != plan(8, 1)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The shortest sequence of each subset, written as a data set with its raw recordings."""
    root = tmp_path_factory.mktemp("synthetic") / "SEE"
    planned = [
        min((p for p in plan(4, 0) if p.subset == subset), key=lambda p: p.take.frames)
        for subset in (TRAINING, TESTING)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data_set, "plan", lambda volunteers, seed: planned)
        assert write_data_set(root, 4, 0, raw=True) == 2
    return root, planned


def test_it_is_read_as_see_is(small):
    root, planned = small
    for subset, expected in zip((TRAINING, TESTING), planned, strict=True):
        see = open_see(root, subset)
        assert [s.name for s in see.sequences] == [str(expected.name)]
        assert see.sequences[0].entry.segment == (0, expected.name.length)
        assert see.sequences[0].label == expected.name.emotion
        assert len(list(see.sequences[0].images())) == 2 * expected.name.length
    assert sorted(path.name for path in root.iterdir()) == [ANNOTATION, "event", "frame", "raw"]


def test_images_are_those_of_the_raw_recording(small):
    """What the SDK's event window makes of the recording is the data set's image, up to the JPEG's losses."""
    root, planned = small
    name, label = str(planned[0].name), planned[0].name.emotion
    window, frames = EventWindow(346, 260), []
    with canthus.open(root / "raw" / label / f"{name}.aedat4") as source:
        for packet in source:
            if isinstance(packet, canthus.Frame):
                frames.append(packet)
            else:
                window.push(*prepare(packet))
    assert len(frames) == planned[0].name.length
    for number in (4, 10):  # the first ones' windows began before the recording
        for kind, image in (
            ("frame", frames[number].image),
            ("event", window.image(frames[number].time_us, 33_000)),
        ):
            with Image.open(image_path(root / kind / label / name, number)) as jpeg:
                assert np.abs(np.asarray(jpeg).astype(int) - image).mean() < 4, kind


def test_event_images_have_three_levels(small):
    root, planned = small
    folder = root / "event" / planned[0].name.emotion / str(planned[0].name)
    image = np.asarray(Image.open(image_path(folder, 5))).astype(int)
    assert image.shape == (260, 346)
    assert np.median(image) == 127
    near = np.abs(image[..., None] - [0, 127, 255]).min(-1)
    assert (near < 40).mean() > 0.97


def test_the_same_take_gives_the_same_files(small, tmp_path):
    root, planned = small
    write_sequence(planned[1], tmp_path, raw=False)
    again = sorted(path for path in tmp_path.rglob("*.jpg"))
    assert len(again) == 2 * planned[1].name.length
    for path in again:
        assert path.read_bytes() == (root / path.relative_to(tmp_path)).read_bytes()


def test_an_existing_folder_is_left_alone(tmp_path):
    (tmp_path / "SEE").mkdir()
    with pytest.raises(canthus.RecordingError, match="exists already"):
        write_data_set(tmp_path / "SEE", 1, 0, raw=False)
    assert [path.name for path in tmp_path.iterdir()] == ["SEE"]


def test_a_full_disk_is_one_error_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(data_set, "SPARE_DISK", 10**18)
    monkeypatch.setattr(data_set, "_film", lambda planned, root, raw: (write_sequence(p, root, raw) for p in planned))
    with pytest.raises(canthus.RecordingError, match="nearly full"):
        write_data_set(tmp_path / "SEE", 1, 0, raw=False)
    assert not list(tmp_path.iterdir())


def test_interrupted_it_leaves_nothing(tmp_path):
    program = "import sys; from canthus.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "synthesize", str(tmp_path / "SEE"), "--like", "see"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True, preexec_fn=listen)
    deadline = time.monotonic() + 30
    while not list(tmp_path.rglob("*.jpg")) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert list(tmp_path.rglob("*.jpg"))
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.strip().splitlines()[-1] == "canthus: interrupted; nothing was left half-written"
    assert "Traceback" not in said
    assert not list(tmp_path.iterdir())
