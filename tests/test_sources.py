"""Recordings and SEE folders: what they yield, in which order, and what is said where they can't."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

import canthus
from canthus import Events, Frame, Images, SourceError
from canthus.sources.choose_camera import choose_camera
from canthus.sources.grey import GreyFrames

SENSOR = (34, 26)
START = 1_700_000_000_000_000
FRAME_US = 33_333
FRAMES = 12
PER_FRAME = 40


def make_events(i):
    """The events between frame i and the next; some share the frame's time, and their times cross packets."""
    random = np.random.default_rng(i)
    t = np.sort(START + i * FRAME_US + random.integers(0, FRAME_US, PER_FRAME))
    t[:2] = START + i * FRAME_US
    x, y = (random.integers(0, size, PER_FRAME) for size in SENSOR)
    return t, x, y, random.integers(0, 2, PER_FRAME)


def make_frame(i, channels=()):
    return np.random.default_rng(1000 + i).integers(0, 256, (*SENSOR[::-1], *channels)).astype(np.uint8)


def write_recording(dv, path, events=True, frames=True, channels=(), sensor=SENSOR, count=FRAMES):
    config = dv.io.MonoCameraWriter.Config("DAVIS346")
    if events:
        config.addEventStream(sensor)
    if frames:
        config.addFrameStream(SENSOR)
    writer = dv.io.MonoCameraWriter(str(path), config)
    for i in range(count):
        if events:
            store = dv.EventStore()
            for t, x, y, p in zip(*(array.tolist() for array in make_events(i)), strict=True):
                store.push_back(t, x, y, bool(p))
            writer.writeEvents(store)
        if frames:
            writer.writeFrame(dv.Frame(START + i * FRAME_US, make_frame(i, channels)))
    return path


@pytest.fixture(scope="module")
def dv():
    return pytest.importorskip("dv_processing")


@pytest.fixture(scope="module")
def recording(dv, tmp_path_factory):
    return write_recording(dv, tmp_path_factory.mktemp("recording") / "whole.aedat4")


def read(path):
    """All packets that can be read, and the error after them, if any."""
    packets = []
    try:
        with canthus.open(path) as source:
            packets.extend(source)
    except SourceError as error:
        return packets, str(error)
    return packets, None


def events_of(packets):
    return [np.concatenate(field) for field in zip(*(p for p in packets if isinstance(p, Events)), strict=True)]


def frames_of(packets):
    return [packet for packet in packets if isinstance(packet, Frame)]


def assert_begins_as_written(packets, complete=False, count=FRAMES):
    events, frames = events_of(packets), frames_of(packets)
    written = [np.concatenate(field) for field in zip(*map(make_events, range(count)), strict=True)]
    for got, expected in zip(events, written, strict=True):
        np.testing.assert_array_equal(got, expected if complete else expected[: len(got)])
    assert len(frames) == count or not complete
    for i, frame in enumerate(frames):
        assert frame.time_us == START + i * FRAME_US
        np.testing.assert_array_equal(frame.image, make_frame(i))


def test_recording_gives_everything_that_was_written(recording):
    packets, error = read(recording)
    assert error is None
    assert_begins_as_written(packets, complete=True)
    with canthus.open(str(recording)) as source:
        assert source.sensor == SENSOR


def test_frames_come_after_all_events_up_to_their_time_and_before_those_after(recording):
    packets, _ = read(recording)
    for i, packet in enumerate(packets):
        if isinstance(packet, Frame):
            before, after = (events_of(part) or [np.array([], int)] for part in (packets[:i], packets[i:]))
            assert (before[0] <= packet.time_us).all() and (after[0] > packet.time_us).all()


def test_recording_can_be_read_twice_but_not_once_closed(recording):
    with canthus.open(recording) as source:
        first, second = list(source), list(source)
        assert len(first) == len(second)
        assert_begins_as_written(second, complete=True)
    with pytest.raises(SourceError, match=r"whole\.aedat4: was closed; open it again"):
        next(iter(source))


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"events": False}, "has no events"),
        ({"frames": False}, "has no frames"),
        ({"count": 0}, "has no frames"),
        ({"channels": (3,)}, "frames are in colour"),
        ({"sensor": (64, 48)}, "must come from one"),
    ],
)
def test_recordings_without_what_is_needed_are_refused(dv, tmp_path, arguments, message):
    path = write_recording(dv, tmp_path / "poor.aedat4", **arguments)
    with pytest.raises(SourceError, match=message):
        canthus.open(path)


DEEP = {bits: np.arange(SENSOR[0] * SENSOR[1]).reshape(SENSOR[::-1]) % 250 << (bits - 8) for bits in (10, 12, 14, 16)}


@pytest.mark.parametrize("bits", DEEP)
def test_frames_of_more_bits_are_read_by_their_range(dv, tmp_path, monkeypatch, bits):
    monkeypatch.setitem(globals(), "make_frame", lambda i, channels=(): DEEP[bits].astype(np.uint16))
    packets, error = read(write_recording(dv, tmp_path / "deep.aedat4"))
    assert error is None and len(frames_of(packets)) == FRAMES
    for frame in frames_of(packets):
        np.testing.assert_array_equal(frame.image, DEEP[bits] >> (bits - 8))


def test_a_dark_frame_is_of_as_many_bits_as_those_before():
    grey = GreyFrames()
    dark, bright = np.full((2, 2), 800, np.uint16), np.full((2, 2), 4000, np.uint16)
    assert [int(grey(image)[0, 0]) for image in (dark, bright, dark)] == [200, 250, 50]


@pytest.mark.parametrize("kind, says", [(np.float32, "are of float32"), (np.int16, "are of int16")])
def test_frames_of_other_numbers_are_refused_by_the_files_name(dv, tmp_path, monkeypatch, kind, says):
    monkeypatch.setitem(globals(), "make_frame", lambda i, channels=(): np.zeros(SENSOR[::-1], kind))
    with pytest.raises(SourceError, match=rf"odd\.aedat4: its frames {says}; canthus reads .* set the camera"):
        canthus.open(write_recording(dv, tmp_path / "odd.aedat4"))


BOTH, EVENTS, FRAMES_ALONE = ("events", "frames"), ("events",), ("frames",)


def write_two_cameras(dv, path, left=BOTH, right=BOTH):
    """What the right one shows is inverted."""
    configs = dv.io.MonoCameraWriter.Config("left & low"), dv.io.MonoCameraWriter.Config("right")
    for config, gives in zip(configs, (left, right), strict=True):
        if "events" in gives:
            config.addEventStream(SENSOR)
        if "frames" in gives:
            config.addFrameStream(SENSOR)
    writer = dv.io.StereoCameraWriter(str(path), *configs)
    for i in range(FRAMES):
        for side, gives, change in ((writer.left, left, 0), (writer.right, right, 255)):
            if "events" in gives:
                store = dv.EventStore()
                for t, x, y, p in zip(*(array.tolist() for array in make_events(i)), strict=True):
                    store.push_back(t, x, y, bool(p))
                side.writeEvents(store)
            if "frames" in gives:
                side.writeFrame(dv.Frame(START + i * FRAME_US, make_frame(i) ^ change))
    return path


@pytest.mark.parametrize("camera, change", [("left & low", 0), ("right", 255)])
def test_one_of_two_cameras_is_chosen(dv, tmp_path, camera, change):
    path = write_two_cameras(dv, tmp_path / "two.aedat4")
    with canthus.open(path, camera=camera) as source:
        assert source.camera == camera
        frames = frames_of(list(source))
    assert len(frames) == FRAMES
    np.testing.assert_array_equal(frames[3].image, make_frame(3) ^ change)


def test_a_name_from_a_file_does_nothing_to_a_terminal():
    with pytest.raises(SourceError) as told:
        choose_camera({"a\x1b[31m": {"events", "frames"}, "b\nc": {"events", "frames"}}, None)
    assert str(told.value).isprintable()


def test_two_cameras_are_named_where_none_was_chosen(dv, tmp_path):
    path = write_two_cameras(dv, tmp_path / "two.aedat4")
    with pytest.raises(SourceError, match=r"two\.aedat4: there are left & low, right: .*--camera='left & low', or"):
        canthus.open(path)
    with pytest.raises(SourceError, match=r"two\.aedat4: no camera is called 'up'; there are left & low, right"):
        canthus.open(path, camera="up")


@pytest.mark.parametrize("left, right, taken", [(EVENTS, BOTH, "right"), (BOTH, FRAMES_ALONE, "left & low")])
def test_the_only_camera_with_both_is_taken(dv, tmp_path, left, right, taken):
    path = write_two_cameras(dv, tmp_path / "two.aedat4", left, right)
    with canthus.open(path) as source:
        assert source.camera == taken and len(frames_of(list(source))) == FRAMES


def test_what_each_camera_lacks_is_told(dv, tmp_path):
    path = write_two_cameras(dv, tmp_path / "two.aedat4", EVENTS, FRAMES_ALONE)
    with pytest.raises(SourceError, match=r"left & low has no frames, right has no events; canthus needs a camera"):
        canthus.open(path)
    with pytest.raises(SourceError, match=r"two\.aedat4: right has no events; canthus needs"):
        canthus.open(path, camera="right")


def test_a_folder_and_an_address_are_of_one_camera(tmp_path):
    for source in (write_sequence(tmp_path), "tcp://localhost:1,2"):
        with pytest.raises(SourceError, match="has one camera only; leave out camera 'left'"):
            canthus.open(source, camera="left")


def test_what_is_no_recording_is_refused(dv, tmp_path):
    for content in (b"", b"hello", b"#!AER-DAT4.0\r\n", b"#!AER-DAT4.0\r\n" + bytes(100)):
        path = tmp_path / "bad.aedat4"
        path.write_bytes(content)
        with pytest.raises(SourceError, match="not an AEDAT4 recording, or its beginning is damaged"):
            canthus.open(path)
    other = tmp_path / "video.mp4"
    other.write_bytes(b"")
    with pytest.raises(SourceError, match=r"not an \.aedat4 recording nor a folder"):
        canthus.open(other)
    with pytest.raises(SourceError, match="no such file"):
        canthus.open(tmp_path / "nothing.aedat4")


linux_only = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="needs files in memory, as Linux has")


@linux_only
@pytest.mark.parametrize("part", [0.01, 0.1, 0.16, 0.2, 0.31, 0.5, 0.77, 0.9, 0.99, "in the table"])
def test_a_cut_recording_is_read_up_to_the_cut(recording, tmp_path, part):
    content = recording.read_bytes()
    end = len(content) - 40 if part == "in the table" else int(part * len(content))
    path = tmp_path / "cut.aedat4"
    path.write_bytes(content[:end])
    folder = set(tmp_path.parent.iterdir())
    packets, error = read(path)
    assert error is not None and str(path) in error
    if packets:
        assert_begins_as_written(packets)
        reached = max([frames_of(packets)[-1].time_us, *events_of(packets)[0]])
        assert f"breaks off at {reached} us" in error
        whole = (end - 3000) / len(content) * FRAMES  # the header is of less than 3000 bytes
        assert len(frames_of(packets)) >= int(whole) - 1
    else:
        assert (part in (0.01, 0.1, 0.16) and "breaks off before" in error) or "damaged" in error
    assert set(tmp_path.parent.iterdir()) == folder and path.stat().st_size == end


def test_a_recording_whose_recorder_was_killed_is_read_as_far_as_it_was_written(dv, tmp_path):
    path = tmp_path / "killed.aedat4"
    code = f"""
        import os, sys, time
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        import dv_processing as dv, test_sources as t
        config = dv.io.MonoCameraWriter.Config("DAVIS346")
        config.addEventStream(t.SENSOR)
        config.addFrameStream(t.SENSOR)
        writer = dv.io.MonoCameraWriter({str(path)!r}, config)
        for i in range(100):
            store = dv.EventStore()
            for event in zip(*(array.tolist() for array in t.make_events(i))):
                store.push_back(*event[:3], bool(event[3]))
            writer.writeEvents(store)
            writer.writeFrame(dv.Frame(t.START + i * t.FRAME_US, t.make_frame(i)))
        while os.path.getsize({str(path)!r}) < 30_000:
            time.sleep(0.01)
        os._exit(1)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False, timeout=60)
    packets, error = read(path)
    assert error is not None and "breaks off at" in error
    assert len(frames_of(packets)) >= 10
    assert_begins_as_written(packets, count=100)


@linux_only
def test_a_packet_with_an_impossible_size_ends_the_recording(recording, tmp_path):
    """Left to itself, dv-processing can't open such a file at all."""
    content = bytearray(recording.read_bytes())
    position = 18 + int.from_bytes(content[14:18], "little")
    for _ in range(9):  # packets: stream, size, data
        position += 8 + int.from_bytes(content[position + 4 : position + 8], "little")
    content[position + 4 : position + 8] = (-500).to_bytes(4, "little", signed=True)
    path = tmp_path / "damaged.aedat4"
    path.write_bytes(content[: len(content) * 3 // 4])
    packets, error = read(path)
    assert len(frames_of(packets)) >= 4 and "breaks off at" in error
    assert_begins_as_written(packets)


def write_sequence(root, numbers=range(15), size=SENSOR, mode="L"):
    Image = pytest.importorskip("PIL.Image")
    for kind in ("frame", "event"):
        folder = root / "SEE" / kind / "angry" / "1_001_man"
        folder.mkdir(parents=True)
        for i in numbers:
            level = 10 * i + (kind == "event")
            Image.new(mode, size, level if mode == "L" else (level,) * 3).save(folder / f"{i:05}.jpg", quality=100)
    return root / "SEE" / "frame" / "angry" / "1_001_man"


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_sequence_gives_pairs_thirty_times_a_second(tmp_path, mode):
    with canthus.open(write_sequence(tmp_path, mode=mode)) as source:
        assert source.sensor == SENSOR
        for _ in range(2):
            packets = list(source)
            assert all(isinstance(packet, Images) for packet in packets)
            assert [packet.time_us for packet in packets] == [i * 1_000_000 // 30 for i in range(15)]
            for i, packet in enumerate(packets):
                for image, level in ((packet.frame, 10 * i), (packet.event, 10 * i + 1)):
                    assert image.shape == SENSOR[::-1] and image.dtype == np.uint8
                    assert (image == level).all()


def test_a_lost_image_doesnt_shift_the_others_in_time(tmp_path):
    with canthus.open(write_sequence(tmp_path, numbers=[0, 1, 4])) as source:
        assert [packet.time_us for packet in source] == [0, 33_333, 133_333]


def test_what_a_mac_or_windows_adds_is_no_image(tmp_path):
    path = write_sequence(tmp_path)
    for folder in (path, tmp_path / "SEE" / "event" / "angry" / "1_001_man"):
        for name in ("._00003.jpg", ".DS_Store", "Thumbs.db"):
            (folder / name).write_bytes(b"\0\5\26\7")
    (path / "00004.jpg").rename(path / "00004.JPG")
    with canthus.open(path) as source:
        assert len(list(source)) == 15


def test_relative_paths_find_the_event_images(tmp_path, monkeypatch):
    monkeypatch.chdir(write_sequence(tmp_path))
    assert len(list(canthus.open("."))) == 15


def test_broken_sequences_name_the_file(tmp_path):
    path = write_sequence(tmp_path)
    event = tmp_path / "SEE" / "event" / "angry" / "1_001_man" / "00004.jpg"
    whole = event.read_bytes()
    for content in (b"", b"no image", whole[: len(whole) // 2]):
        event.write_bytes(content)
        packets, error = read(path)
        assert len(packets) == 4 and f"{event}: not a readable image" in error
    event.unlink()
    with pytest.raises(SourceError, match=r"event/angry/1_001_man/00004\.jpg: missing"):
        canthus.open(path)


def test_other_folders_are_refused(tmp_path):
    Image = pytest.importorskip("PIL.Image")
    path = write_sequence(tmp_path)
    with pytest.raises(SourceError, match=r"holds no \.jpg images"):
        canthus.open(tmp_path)
    with pytest.raises(SourceError, match="SEE/frame/LABEL/NAME"):
        canthus.open(tmp_path / "SEE" / "event" / "angry" / "1_001_man")
    Image.new("L", (10, 10)).save(path / "00003.jpg")
    packets, error = read(path)
    assert len(packets) == 3 and "00003.jpg: is 10 x 10 pixels, the sequence's first 34 x 26" in error
    Image.new("L", SENSOR).save(path / "thumbnail.jpg")
    with pytest.raises(SourceError, match=r"thumbnail\.jpg: not named by its number"):
        canthus.open(path)


@pytest.mark.parametrize(
    "package, extra, make",
    [
        ("dv_processing", "camera", lambda folder, dv: write_recording(dv, folder / "a.aedat4")),
        ("PIL", "see", lambda folder, dv: write_sequence(folder)),
    ],
)
def test_a_package_that_is_absent_is_named_with_the_remedy(tmp_path, monkeypatch, dv, package, extra, make):
    path = make(tmp_path, dv)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(SourceError, match=rf"pip install 'canthus\[{extra}\]'"):
        canthus.open(path)


def run_python(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_importing_canthus_brings_nothing_heavy_along():
    heavy = {"torch", "onnxruntime", "onnx", "dv_processing", "PIL", "canthus_model", "canthus_exporter"}
    assert heavy.isdisjoint(run_python("import sys, canthus; print(*sys.modules)"))
    assert "numpy" not in run_python("import sys, canthus; print(*sys.modules)")
    code = "import sys, canthus; canthus.Stream, canthus.load, canthus.watch, canthus.open; print(*sys.modules)"
    assert heavy.isdisjoint(run_python(code))


def test_every_public_name_is_there_whatever_was_imported_before():
    names = "[getattr(canthus, name) for name in canthus.__all__]"
    run_python(f"import canthus; {names}")
    run_python(f"import canthus.stream, canthus.sources.watch, canthus; {names}; assert callable(canthus.watch)")
    assert set(canthus.__all__) <= set(dir(canthus))
    with pytest.raises(AttributeError, match="glance"):
        _ = canthus.glance
