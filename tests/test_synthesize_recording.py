"""Recordings: what is written is what is read, and nothing is left behind after an error."""

import argparse
import subprocess
import sys

import numpy as np
import pytest

from canthus.errors import RecordingError
from canthus_model.synthesize import command, recording
from canthus_model.synthesize.recording import Recording
from canthus_model.synthesize.simulation import FIRST_TIME
from canthus_model.synthesize.take import parade

dv_processing = pytest.importorskip("dv_processing", reason="AEDAT4 needs dv-processing")

SECONDS = 0.5


def read(path):
    """Frames as (time, exposure, image) and all events of a recording, and its event packets' lengths."""
    reader = dv_processing.io.MonoCameraRecording(str(path))
    assert reader.getStreamNames() == ["events", "frames"]
    assert reader.getCameraName() == "DAVIS346_synthetic"
    assert reader.getEventResolution() == reader.getFrameResolution() == (346, 260)
    frames, batches = [], []
    while (frame := reader.getNextFrame()) is not None:
        frames.append((frame.timestamp, frame.exposure.microseconds, frame.image))
    while (batch := reader.getNextEventBatch()) is not None:
        batches.append(batch.numpy())
    return frames, np.concatenate(batches), [int(np.ptp(batch["timestamp"])) for batch in batches]


def record(path, seed, seconds=SECONDS):
    """Record a parade of expressions; the frames and events that the sensor gave."""
    moments = list(parade(seed, seconds).moments())
    with Recording(path) as made:
        for moment in moments:
            made.add(moment)
    events = np.concatenate([moment.events for moment in moments])
    assert made.events == events.size
    return events, [moment.frame for moment in moments]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A recording, and the events and frames that the sensor gave while it was made."""
    path = tmp_path_factory.mktemp("made") / "eye.aedat4"
    return path, *record(path, 3)


def test_reading_gives_exactly_what_the_sensor_gave(made):
    path, given, images = made
    frames, events, packets = read(path)
    assert events.size == given.size > 10_000
    for name, column in (("timestamp", "t"), ("x", "x"), ("y", "y"), ("polarity", "p")):
        np.testing.assert_array_equal(events[name], given[column])
    assert len(frames) == 15
    for number, ((time, exposure, image), expected) in enumerate(zip(frames, images, strict=True)):
        assert time == FIRST_TIME + number * 1_000_000 // 30 + 4_000
        assert exposure == 8_000
        np.testing.assert_array_equal(image, expected)
    assert len(packets) >= 45 and max(packets) < 12_001


def test_event_times_are_sorted_and_within_the_recording(made):
    events = read(made[0])[1]
    assert (np.diff(events["timestamp"]) >= 0).all()
    assert events["timestamp"].min() >= FIRST_TIME
    assert events["timestamp"].max() < FIRST_TIME + 500_000
    assert events["x"].min() >= 0 and events["x"].max() < 346
    assert events["y"].min() >= 0 and events["y"].max() < 260


def test_the_same_seed_gives_the_same_recording_and_another_does_not(made, tmp_path):
    record(tmp_path / "same.aedat4", 3)
    record(tmp_path / "other.aedat4", 4)
    frames, events, _ = read(made[0])
    same_frames, same_events, _ = read(tmp_path / "same.aedat4")
    other_frames, _, _ = read(tmp_path / "other.aedat4")
    np.testing.assert_array_equal(events, same_events)
    for (time, _, image), (same_time, _, same_image) in zip(frames, same_frames, strict=True):
        assert time == same_time
        np.testing.assert_array_equal(image, same_image)
    assert not np.array_equal(frames[0][2], other_frames[0][2])


@pytest.mark.parametrize("error", [ValueError("no eye"), KeyboardInterrupt()])
def test_an_exception_leaves_the_folder_as_it_was(tmp_path, error):
    path = tmp_path / "eye.aedat4"
    path.write_bytes(b"an older recording")
    with pytest.raises(type(error)), Recording(path) as made:
        for number, moment in enumerate(parade(0, 0.2).moments()):
            made.add(moment)
            if number == 3:
                seen = [file.name for file in tmp_path.iterdir()]
                raise error
    assert any(name.endswith(".partial.aedat4") for name in seen)
    assert [file.name for file in tmp_path.iterdir()] == ["eye.aedat4"]
    assert path.read_bytes() == b"an older recording"


def test_a_full_disk_is_an_error_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(recording, "SPARE_DISK", 10**18)
    with pytest.raises(RecordingError, match="nearly full"):
        record(tmp_path / "eye.aedat4", 0, 0.1)
    assert not list(tmp_path.iterdir())


def parse(*words):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args([str(word) for word in words])


def test_command_makes_recording_and_preview(tmp_path, capsys):
    image = pytest.importorskip("PIL.Image", reason="the preview needs Pillow")
    out, preview = tmp_path / "eye.aedat4", tmp_path / "eye.png"
    assert command.run(parse(out, "--seconds", 0.4, "--preview", preview)) == 0
    said = capsys.readouterr().out
    assert "12 frames" in said and f"shows {parade(0, 0.4).labels[0]} until 0.4 s" in said
    assert len(read(out)[0]) == 12
    sheet = np.asarray(image.open(preview))
    assert sheet.shape == (2 * (260 + 4), 6 * (346 + 4))
    events = sheet[264:524, :346]
    assert set(np.unique(events)) == {0, 127, 255}
    assert sorted(file.name for file in tmp_path.iterdir()) == ["eye.aedat4", "eye.png"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{}/eye.mp4"], "ends in .aedat4"),
        (["{}/folder.aedat4"], "is a folder"),
        (["{}/none/eye.aedat4"], "no such folder"),
        (["{}/eye.aedat4", "--seconds", "0"], "--seconds 0"),
        (["{}/eye.aedat4", "--seconds", "nan"], "--seconds nan"),
        (["{}/eye.aedat4", "--seconds", "3601"], "--seconds 3601"),
        (["{}/eye.aedat4", "--seed", "-1"], "--seed -1"),
        (["{}/eye.aedat4", "--preview", "{}/eye.jpg"], "ends in .png"),
        (["{}/eye.aedat4", "--preview", "{}/none/eye.png"], "create the folder"),
        (["{}/eye.aedat4", "--raw"], "--raw are for a data set"),
        (["{}/eye.aedat4", "--volunteers", "4"], "--volunteers and --raw are for a data set"),
        (["{}/folder.aedat4", "--like", "see"], "exists already"),
        (["{}/none/SEE", "--like", "see"], "no such folder"),
        (["{}/SEE", "--like", "see", "--seconds", "3"], "--seconds: for a recording"),
        (["{}/SEE", "--like", "see", "--volunteers", "0"], "--volunteers 0"),
        (["{}/SEE", "--like", "see", "--volunteers", "1000"], "--volunteers 1000"),
    ],
)
def test_impossible_requests_give_one_clear_error_and_no_file(tmp_path, words, message):
    (tmp_path / "folder.aedat4").mkdir()
    with pytest.raises(RecordingError, match=message):
        command.run(parse(*[word.format(tmp_path) for word in words]))
    assert [file.name for file in tmp_path.iterdir()] == ["folder.aedat4"]


def test_the_command_imports_nothing_heavy():
    check = (
        "import sys; from canthus_model.synthesize import command; "
        "heavy = {'numpy', 'torch', 'rich', 'PIL', 'dv_processing'} & set(sys.modules); "
        "import canthus_model.synthesize.recording, canthus_model.synthesize.eye; "
        "assert not heavy, heavy; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", check], check=True)
