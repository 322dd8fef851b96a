"""How a camera is mounted: a view of its picture is what turning and cutting frames and events before would give."""

import dataclasses
import json
import re

import numpy as np
import pytest

import canthus
from canthus import LiveStream, Stream, View, ViewError
from canthus.bench.content import made_up
from canthus.bench.settings import Settings
from canthus.cli import main
from test_stream import SENSOR, SPAN_US, ShownAnswer, StandInEngine, fields, make_recording, play

ORIENTATIONS = [(rotate, mirror) for rotate in (0, 90, 180, 270) for mirror in (False, True)]
ROIS = [None, (5, 6, 11, 10), (0, 0, 1, 26), (33, 25, 1, 1), (3, 0, 31, 17)]
DAVIS346 = (346, 260)


class SizedEngine(StandInEngine):
    """The stand-in, for images of any size."""

    def __init__(self, height, width):
        super().__init__()
        self.image_size = height, width

    def react(self, frame, event, first):
        self.reacted.append((frame.copy(), event.copy(), first))
        sums = [np.sum(image * np.arange(1.0, image.size + 1).reshape(image.shape)) for image in (frame, event, *first)]
        logits = np.array([[*sums, 1, 2, 3]], np.float32)
        return ShownAnswer(logits, logits / logits.sum(), np.eye(1, 8, dtype=np.float32))


def turn_image(image, rotate, mirror):
    return np.ascontiguousarray(np.rot90(np.fliplr(image) if mirror else image, -rotate // 90))


def turn_events(events, sensor, rotate, mirror):
    """Events where a picture of their places would show them, once it was turned."""
    t, x, y, p = events
    width, height = sensor
    numbers = turn_image(np.arange(width * height).reshape(height, width), rotate, mirror)
    place = np.empty(width * height, np.int64)
    place[numbers.ravel()] = np.arange(width * height)
    new_y, new_x = np.divmod(place[y.astype(int) * width + x], numbers.shape[1])
    return t, new_x.astype(np.int16), new_y.astype(np.int16), p


def turn_roi(roi, sensor, rotate, mirror):
    if roi is None:
        return None
    left, top, width, height = roi
    inside = np.zeros(sensor[::-1], bool)
    inside[top : top + height, left : left + width] = True
    rows, columns = np.nonzero(turn_image(inside, rotate, mirror))
    return int(columns[0]), int(rows[0]), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1


def turned_before(events, frames, sensor, roi, rotate, mirror):
    """What an app would have to do without a view."""
    turned = [(t, turn_image(image, rotate, mirror)) for t, image in frames]
    new_sensor = sensor[::-1] if rotate in (90, 270) else sensor
    return turn_events(events, sensor, rotate, mirror), turned, new_sensor, turn_roi(roi, sensor, rotate, mirror)


def record(sensor, seconds=0.6):
    random = np.random.default_rng(3)
    (t, _, _, p), frames = make_recording(seconds)
    x, y = (random.integers(0, size, len(t)).astype(np.int16) for size in sensor)
    return (t, x, y, p), [(t, random.integers(0, 256, sensor[::-1]).astype(np.uint8)) for t, _ in frames]


def assert_same_images(engine, expected):
    assert len(engine.reacted) == len(expected.reacted) > 0
    for (frame, event, first), (right_frame, right_event, right_first) in zip(
        engine.reacted, expected.reacted, strict=True
    ):
        for image, right in zip((frame, event, *first), (right_frame, right_event, *right_first), strict=True):
            np.testing.assert_array_equal(image, right)


@pytest.mark.parametrize("rotate, mirror", ORIENTATIONS)
@pytest.mark.parametrize("roi", ROIS)
@pytest.mark.parametrize("size", [(10, 10), (9, 14), (40, 23)])
def test_a_view_is_bit_identical_to_turning_frames_and_events_before(size, roi, rotate, mirror):
    events, frames = record(SENSOR)
    engine, expected = SizedEngine(*size), SizedEngine(*size)
    got = play(Stream(engine, SENSOR, View(roi, rotate, mirror)), events, frames)
    events, frames, sensor, roi = turned_before(events, frames, SENSOR, roi, rotate, mirror)
    right = play(Stream(expected, sensor, View(roi)), events, frames)
    assert [*map(fields, got)] == [*map(fields, right)]
    assert_same_images(engine, expected)


@pytest.mark.parametrize("rotate, mirror", ORIENTATIONS)
@pytest.mark.parametrize(
    "sensor, size, roi",
    [
        (DAVIS346, (100, 133), None),
        (DAVIS346, (100, 100), None),
        (DAVIS346, (100, 100), (31, 7, 221, 233)),
        ((641, 480), (100, 133), None),
        ((121, 333), (100, 133), None),
    ],
)
def test_on_sensors_of_these_sizes(sensor, size, roi, rotate, mirror):
    events, frames = record(sensor, seconds=0.48)
    engine, expected = SizedEngine(*size), SizedEngine(*size)
    play(Stream(engine, sensor, View(roi, rotate, mirror)), events, frames)
    events, frames, sensor, roi = turned_before(events, frames, sensor, roi, rotate, mirror)
    play(Stream(expected, sensor, View(roi)), events, frames)
    assert_same_images(engine, expected)


@pytest.mark.parametrize("rotate, mirror", ORIENTATIONS)
def test_images_that_were_accumulated_before_go_through_the_same_view(rotate, mirror):
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (4, *SENSOR[::-1])).astype(np.uint8)
    engine, expected = StandInEngine(), StandInEngine()
    stream, right = Stream(engine, SENSOR, View((5, 3, 20, 15), rotate, mirror)), None
    sensor = SENSOR[::-1] if rotate in (90, 270) else SENSOR
    right = Stream(expected, sensor, View(turn_roi((5, 3, 20, 15), SENSOR, rotate, mirror)))
    for i, t in enumerate((0, SPAN_US)):
        stream.push_images(images[2 * i], images[2 * i + 1], t)
        right.push_images(*(turn_image(image, rotate, mirror) for image in images[2 * i : 2 * i + 2]), t)
    assert_same_images(engine, expected)


@pytest.mark.parametrize("rotate, mirror", ORIENTATIONS)
@pytest.mark.parametrize("accumulated", [False, True])
def test_a_live_stream_has_the_same_view(accumulated, rotate, mirror):
    view = View((5, 3, 20, 15), rotate, mirror)
    events, frames = record(SENSOR)
    engine, expected = StandInEngine(), StandInEngine()
    stream = Stream(expected, SENSOR, view)
    with LiveStream(engine, SENSOR, view, deadline_us=60_000_000) as live:
        for t, image in frames:
            if accumulated:
                live.push_images(image, image[::-1].copy(), t)
                stream.push_images(image, image[::-1].copy(), t)
            else:
                now = events[0] <= t
                live.push_events(*(array[now] for array in events))
                stream.push_events(*(array[now] for array in events))
                events = tuple(array[~now] for array in events)
                live.push_frame(image, t)
                stream.push_frame(image, t)
            assert live.drain(60)
    assert_same_images(engine, expected)


@pytest.mark.parametrize("rotate, mirror", ORIENTATIONS)
@pytest.mark.parametrize("x, y", [(4, 7), (28, 21), (6, 24)])
def test_an_event_and_a_bright_pixel_at_one_place_stay_at_one_place(x, y, rotate, mirror):
    engine = SizedEngine(26, 34) if rotate in (0, 180) else SizedEngine(34, 26)  # a pixel of the sensor for each
    stream = Stream(engine, SENSOR, View(None, rotate, mirror))
    frame = np.zeros(SENSOR[::-1], np.uint8)
    frame[y, x] = 255
    for t in (0, SPAN_US):
        stream.push_events(*(np.array([value]) for value in (t, x, y, 1)))
        stream.push_frame(frame, t)
    shown, event, first = engine.reacted[0]
    place = np.argwhere(turn_image(frame, rotate, mirror) == 255)[0]
    for image in (shown, event, *first):
        np.testing.assert_array_equal(np.argwhere(image == 255), [place])


@pytest.mark.parametrize(
    "rotate, mirror, roi, shown",
    [
        (0, False, None, [[1, 2, 3], [4, 5, 6]]),
        (0, True, None, [[3, 2, 1], [6, 5, 4]]),
        (90, False, None, [[4, 1], [5, 2], [6, 3]]),
        (180, False, None, [[6, 5, 4], [3, 2, 1]]),
        (270, False, None, [[3, 6], [2, 5], [1, 4]]),
        (90, True, None, [[6, 3], [5, 2], [4, 1]]),  # first mirrored, then turned
        (90, True, (1, 0, 2, 1), [[3], [2]]),  # the roi is in the camera's own pixels
    ],
)
def test_the_order_is_cut_mirror_turn(rotate, mirror, roi, shown):
    engine = SizedEngine(*np.shape(shown))
    stream = Stream(engine, (3, 2), View(roi, rotate, mirror))
    for t in (0, SPAN_US):
        stream.push_frame(np.array([[1, 2, 3], [4, 5, 6]], np.uint8), t)
    np.testing.assert_array_equal(engine.reacted[0][0], shown)


@pytest.mark.parametrize(
    "sensor, size, rotate, mirror, region",
    [
        ((346, 260), (100, 133), 0, False, (0, 0, 346, 260)),
        ((346, 260), (100, 133), 90, False, (75, 0, 195, 260)),
        ((346, 260), (100, 133), 270, False, (76, 0, 195, 260)),  # an odd pixel is left where it is, once turned
        ((346, 260), (100, 133), 270, True, (75, 0, 195, 260)),
        ((346, 260), (100, 100), 180, True, (43, 0, 260, 260)),
    ],
)
def test_without_a_roi_it_is_the_largest_of_the_engines_aspect_once_turned(sensor, size, rotate, mirror, region):
    view = View(rotate=rotate, mirror=mirror)
    assert view.region(sensor, size) == region
    assert Stream(SizedEngine(*size), sensor, view).roi == region


def test_a_view_is_a_value():
    view = View(roi=[np.int64(1), 2, 3, 4], rotate=90)
    assert view == View((1, 2, 3, 4), 90, False) and hash(view) == hash(View((1, 2, 3, 4), 90))
    assert repr(view) == "View(roi=(1, 2, 3, 4), rotate=90, mirror=False)"
    with pytest.raises(dataclasses.FrozenInstanceError):
        view.rotate = 0
    assert Stream(StandInEngine(), SENSOR).view == View()


BAD = [
    ({"rotate": 45}, "rotate is 45; give 0, 90, 180 or 270"),
    ({"rotate": -90}, "rotate is -90; give 0"),
    ({"rotate": 90.0}, r"rotate is 90\.0; give 0"),
    ({"rotate": True}, "rotate is True; give 0"),
    ({"rotate": "90"}, "rotate is '90'; give 0"),
    ({"rotate": None}, "rotate is None; give 0"),
    ({"rotate": [90]}, r"rotate is \[90\]; give 0"),
    ({"mirror": 1}, "mirror is 1; give true or false"),
    ({"mirror": "no"}, "mirror is 'no'; give true or false"),
    ({"roi": (0, 0, 10)}, r"roi is \(0, 0, 10\); give left, top, width and height"),
    ({"roi": "0,0,10,10"}, "roi is '0,0,10,10'; give left"),
    ({"roi": (0, 0, 10, 10.5)}, r"roi is \(0, 0, 10, 10\.5\); give left"),
    ({"roi": (0, 0, 10, True)}, "roi is"),
    ({"roi": (0, 0, 10, 0)}, "roi is"),
    ({"roi": (-1, 0, 10, 10)}, "roi is"),
    ({"roi": (0, 0, 10, 1 << 40)}, "roi is"),
    ({"roi": 7}, "roi is 7"),
    ({"roi": {"left": 0}}, "roi is"),
]


@pytest.mark.parametrize("given, message", BAD)
def test_what_makes_no_sense_is_refused(given, message):
    with pytest.raises(ViewError, match=message):
        View(**given)


@pytest.mark.parametrize("roi", [(0, 0, 35, 10), (30, 0, 5, 10), (0, 20, 10, 10)])
@pytest.mark.parametrize("make", [Stream, LiveStream])
def test_a_roi_outside_the_sensor_is_refused(make, roi):
    with pytest.raises(ViewError, match=r"roi .*outside the sensor of 34 x 26"):
        make(StandInEngine(), SENSOR, View(roi))


def test_a_stream_tells_what_a_view_is():
    with pytest.raises(ViewError, match=r"tuple, not a canthus\.View"):
        Stream(StandInEngine(), SENSOR, (0, 0, 10, 10))


VIEWS = [View(), View((1, 2, 3, 4)), View(None, 270, True), View((0, 0, 32767, 32767), 180)]


@pytest.mark.parametrize("view", VIEWS)
def test_a_file_gives_back_what_was_written(view, tmp_path):
    path = tmp_path / "eye.yaml"
    for _ in range(2):
        view.write(path)
        assert View.read(path) == View.read(str(path)) == view
    assert [p.name for p in tmp_path.iterdir()] == ["eye.yaml"]
    assert path.read_text().startswith("# ")  # it says what it is


def test_a_file_is_easy_to_read(tmp_path):
    View((43, 0, 260, 260), 90, True).write(tmp_path / "eye.yaml")
    lines = (tmp_path / "eye.yaml").read_text().splitlines()
    assert lines[-3:] == ["roi: [43, 0, 260, 260]", "rotate: 90", "mirror: true"]


@pytest.mark.parametrize(
    "text, view",
    [
        ("rotate: 180", View(rotate=180)),
        ("mirror: true\nroi: [1, 2, 3, 4]\n", View((1, 2, 3, 4), 0, True)),
        ("roi: null\n", View()),
        ("\ufeffrotate: 90\r\n# of the left eye\r\n", View(rotate=90)),
    ],
)
def test_a_file_may_be_written_by_hand(text, view, tmp_path):
    path = tmp_path / "eye.yaml"
    path.write_text(text, encoding="utf-8")
    assert View.read(path) == view


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "holds no fields"),
        (b"# nothing\n", "holds no fields"),
        (b"rotate", "holds no fields"),
        (b"[1, 2]", "holds no fields"),
        (b"rotation: 90", "'rotation'.* roi, rotate and mirror"),
        (b"1: 90", "no field is called 1"),
        (b"rotate: 91", "rotate is 91"),
        (b"rotate: 90\nmirror: maybe", "mirror is 'maybe'"),
        (b"roi: [0, 0, 10]", r"roi is \[0, 0, 10\]"),
        (b"roi: [a, 0, 10, 10]", "roi is"),
        (b"roi: &a [*a, *a, *a, *a]", "roi is"),
        (b"a: &a [0,0,0,0,0,0,0,0,0]\nb: &b [*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b]\nroi: [*c,*c,*c,*c]", "'a'"),
        (b"roi: &r [&a [&b [&c [1,1,1,1,1,1,1,1],*c,*c,*c,*c,*c,*c],*b,*b,*b,*b,*b],*a,*a,*a]", "roi is"),
        (b"rotate: !!python/object/apply:os.system [true]", "not YAML"),
        (b"rotate: [", "not YAML"),
        (b'rotate: !!int ""', "not YAML"),
        (b"mirror: !!bool x", "not YAML"),
        (b"{[1]: 2}", "not YAML"),
        (b"rotate: 90\nrotate: 180", "'rotate'.*twice"),
        (b"\xff\xfe\x00", "not YAML"),
        (b"rotate: \x00", "not YAML"),
        (b"rotate: 2026-99-99", "not YAML"),
        (b"[" * 3000, "not YAML"),
        (b"#" * 5000, "too large"),
    ],
)
def test_a_file_that_is_none_is_one_clear_error(content, message, tmp_path):
    path = tmp_path / "eye.yaml"
    path.write_bytes(content)
    with pytest.raises(ViewError, match=message) as refused:
        View.read(path)
    assert str(refused.value).startswith(f"{path}: ") and len(str(refused.value)) < 400 + len(str(path))
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_or_can_not_be_written_is_one_clear_error(tmp_path):
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(ViewError, match=r": can't be read \("):
            View.read(path)
    with pytest.raises(ViewError, match=r": can't be written \("):
        View().write(tmp_path / "none" / "eye.yaml")
    with pytest.raises(ViewError, match=r": can't be written \("):
        View().write(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_can_not_be_written_whole_is_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "eye.yaml"
    View(rotate=90).write(path)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_text", full)
    with pytest.raises(ViewError, match="No space left"):
        View(rotate=180).write(path)
    assert View.read(path) == View(rotate=90) and len(list(tmp_path.iterdir())) == 1


class OneEye:
    """A source of a recording."""

    is_live = False

    def __init__(self, view=None):
        self.sensor, self.view = SENSOR, view or View()
        self.events, self.frames = make_recording()

    def __iter__(self):
        yield canthus.Events(*self.events)
        for t, image in self.frames:
            yield canthus.Frame(image, t)


def test_watch_takes_the_sources_view():
    view, source = View((3, 4, 20, 15), 90, True), OneEye(View((3, 4, 20, 15), 90, True))
    got = list(canthus.watch(StandInEngine(), source))
    stream = Stream(StandInEngine(), SENSOR, view)
    stream.push_events(*source.events)
    expected = [stream.push_frame(image, t) for t, image in source.frames]
    assert [*map(fields, got)] == [fields(e) for e in expected if e]
    other = canthus.watch(StandInEngine(), OneEye())
    assert fields(next(other)) != fields(got[0])


def test_open_gives_the_source_its_view(recording):
    with canthus.open(recording) as source:
        assert source.view == View()
    view = View(rotate=180)
    with canthus.open(recording, view=view) as source, canthus.open(recording) as other:
        assert source.view == view and other.view == View()


def answers_of(capsys, *command):
    assert main(["run", *map(str, command), "--json", "--backend", "onnxruntime"]) == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [(a["time_us"], a["probabilities"], a["experts"]) for a in answers]


def test_run_takes_a_view_from_its_options_or_a_file(small_bundle, recording, tmp_path, capsys):
    as_given = answers_of(capsys, small_bundle, recording)
    view = View((20, 10, 200, 240), 270, True)
    engine = canthus.load(small_bundle, "onnxruntime")
    with canthus.open(recording, view=view) as source:
        expected = [e.time_us for e in canthus.watch(engine, source)]
    by_options = answers_of(capsys, small_bundle, recording, "--roi", "20, 10,200,240", "--rotate", "270", "--mirror")
    assert [t for t, *_ in by_options] == expected and by_options != as_given
    view.write(tmp_path / "eye.yaml")
    assert answers_of(capsys, small_bundle, recording, "--view", tmp_path / "eye.yaml") == by_options
    # An option outweighs the file.
    mirrored_back = answers_of(capsys, small_bundle, recording, "--view", tmp_path / "eye.yaml", "--no-mirror")
    assert mirrored_back not in (as_given, by_options)
    View(view.roi, 270).write(tmp_path / "eye.yaml")
    assert answers_of(capsys, small_bundle, recording, "--view", tmp_path / "eye.yaml") == mirrored_back


@pytest.mark.parametrize("command", ["run", "bench", "monitor"])
@pytest.mark.parametrize(
    "options, message",
    [
        (["--roi", "1,2,3"], r"roi is \[1, 2, 3\]; give left"),
        (["--roi", "1,2,3,x"], "--roi: 'x' is no whole number"),
        (["--roi=-1,2,3,4"], "roi is"),
        (["--roi", "300,0,100,100"], "outside the sensor"),
        (["--rotate", "45"], "rotate is 45"),
        (["--rotate", "quarter"], "--rotate: 'quarter' is no whole number"),
        (["--view", "none.yaml"], r"none\.yaml: can't be read"),
    ],
)
def test_options_that_make_no_sense_are_one_clear_error(
    command, options, message, small_bundle, recording, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    port = ["--port", "0"] if command == "monitor" else []
    assert main([command, str(small_bundle), str(recording), *options, *port, "--backend", "onnxruntime"]) == 2
    out, error = capsys.readouterr()
    assert re.search(message, error) and "Traceback" not in error
    assert error.splitlines()[-1].startswith("canthus: error: ") and out == ""


def test_a_measurement_says_what_view_its_content_had():
    plain, seen = made_up(Settings()), made_up(Settings(), View(rotate=90))
    assert plain.view == View() and plain.name == "made up, seed 0"
    assert seen.view == View(rotate=90)
    assert seen.name == "made up, seed 0, seen through View(roi=None, rotate=90, mirror=False)"
