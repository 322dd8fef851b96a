"""The stream's rules, with a stand-in engine that shows what it was given."""

from typing import NamedTuple

import numpy as np
import pytest

import canthus
from canthus import EngineError, EventError, FrameError, Stream, View, ViewError
from canthus._native import EventWindow, Resize
from canthus.steady import Steadiness
from canthus.visible import Visible

SENSOR = (34, 26)
FRAME_US = 33_333
SPAN_US = 400_000
WINDOW_US = 33_000


class ShownFeatures(NamedTuple):
    frame: np.ndarray
    event: np.ndarray


class ShownAnswer(NamedTuple):
    logits: np.ndarray
    probabilities: np.ndarray
    experts: np.ndarray


class StandInEngine:
    """Its features are the images themselves, and its answers their sums: any other input gives another answer."""

    labels = ("angry", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
    image_size = (10, 10)
    window_us = WINDOW_US
    span_us = SPAN_US
    event_contribution = 0.5
    event_neutral = 0.5
    steadiness, visible, eye_check = Steadiness(), Visible(), None

    def __init__(self):
        self.reacted, self.primed, self.broken = [], 0, False

    def prime(self, frame, event):
        self._fail()
        self.primed += 1
        return ShownFeatures(frame.copy(), event.copy())

    def react(self, frame, event, first):
        self._fail()
        self.reacted.append((frame.copy(), event.copy(), first))
        sums = [np.sum(image * np.arange(1.0, 101).reshape(10, 10)) for image in (frame, event, *first)]
        logits = np.array([[*sums, 1, 2, 3]], np.float32)
        experts = np.zeros((1, 8), np.float32)
        experts[0, [int(sums[0]) % 4, 4 + int(sums[1]) % 4]] = 0.25, 0.5
        return ShownAnswer(logits, logits / logits.sum(), experts)

    def _fail(self):
        if self.broken:
            raise EngineError("broken on purpose")


def make_recording(seconds=1.0, seed=0, start=10**15, per_second=30_000):
    """Events of all times, and frames (time, image) about 30 times a second, both from one seed."""
    random = np.random.default_rng(seed)
    count = int(per_second * seconds)
    t = np.sort(start + random.integers(0, int(seconds * 1e6), count))
    x, y = (random.integers(0, size, count).astype(np.int16) for size in SENSOR)
    p = random.integers(0, 2, count).astype(bool)
    times = start + FRAME_US * np.arange(1, int(seconds * 1e6 // FRAME_US)) + random.integers(-300, 300)
    frames = [(int(t), random.integers(0, 256, SENSOR[::-1]).astype(np.uint8)) for t in times]
    return (t, x, y, p), frames


def play(stream, events, frames, packet=500, prepare=False):
    """Push events in packets, each frame after all events up to its time; the expressions, None where none was."""
    expressions, begin = [], 0
    for time_us, image in frames:
        end = int(np.searchsorted(events[0], time_us, "right"))
        for first in range(begin, end, packet):
            stream.push_events(*(array[first : min(first + packet, end)] for array in events))
        begin = end
        expressions.append(stream.push_frame(image, time_us))
        if prepare:
            stream.prepare()
    return expressions


def fields(expression):
    """All of an expression but its latency, comparable."""
    if expression is None:
        return None
    e = expression
    return e.label, e.probabilities.tobytes(), e.labels, e.time_us, e.experts, e.missing


def test_answers_come_once_the_span_was_seen_and_hold_what_the_engine_said():
    engine = StandInEngine()
    events, frames = make_recording()
    expressions = play(Stream(engine, SENSOR), events, frames)
    assert [e is None for e in expressions] == [i < 12 for i in range(len(frames))]
    (frame, event, first), e, (time_us, _) = engine.reacted[0], expressions[12], frames[12]
    answer = StandInEngine().react(frame, event, first)
    np.testing.assert_array_equal(e.probabilities, answer.probabilities[0])
    assert e.probabilities.shape == (7,) and e.probabilities.dtype == np.float32
    assert e.label == engine.labels[answer.probabilities.argmax()]
    assert (e.time_us, e.labels, e.missing) == (time_us, engine.labels, ())
    assert [answer.experts[0, i] for i in e.experts] == [0.5, 0.25]
    assert isinstance(e.latency_us, int) and e.latency_us >= 0


def test_engine_is_given_the_cropped_moment_and_the_one_a_span_before():
    engine = StandInEngine()
    events, frames = make_recording()
    play(Stream(engine, SENSOR), events, frames)

    def moment(i):
        window = EventWindow(*SENSOR)
        t, x, y, p = events
        window.push(t, x.view(np.uint16), y.view(np.uint16), p.view(np.uint8))
        resize = Resize(*SENSOR, (4, 0, 30, 26), 10, 10)
        return resize(frames[i][1]), resize(window.image(frames[i][0], WINDOW_US))

    frame, event, first = engine.reacted[0]
    for given, expected in zip((frame, event, *first), (*moment(12), *moment(0)), strict=True):
        np.testing.assert_array_equal(given, expected)


@pytest.mark.parametrize("packet", [1, 7, 100_000])
def test_packet_sizes_dont_matter(packet):
    events, frames = make_recording(per_second=3000)
    expected = play(Stream(StandInEngine(), SENSOR), events, frames)
    cut = play(Stream(StandInEngine(), SENSOR), events, frames, packet)
    assert any(expected)
    assert [*map(fields, cut)] == [*map(fields, expected)]


def test_events_may_be_given_ahead_of_frames():
    events, frames = make_recording()
    ahead = Stream(StandInEngine(), SENSOR)
    ahead.push_events(*events)
    expected = play(Stream(StandInEngine(), SENSOR), events, frames)
    assert [fields(ahead.push_frame(image, t)) for t, image in frames] == [*map(fields, expected)]


def test_prepare_changes_when_work_is_done_but_no_answer():
    events, frames = make_recording()
    lazy, eager = StandInEngine(), StandInEngine()
    late = play(Stream(lazy, SENSOR), events, frames)
    early = play(Stream(eager, SENSOR), events, frames, prepare=True)
    assert [*map(fields, late)] == [*map(fields, early)]
    assert (lazy.primed, eager.primed) == (len(frames) - 1, len(frames))


def shown_levels(times, offset=0):
    """For each frame time, the grey level of the first moment, where every frame has its own level."""
    engine = StandInEngine()
    stream = Stream(engine, SENSOR)
    flat = np.ones(SENSOR[::-1], np.uint8)
    levels, expressions = [], []
    for i, t in enumerate(times):
        asked = len(engine.reacted)
        expressions.append(stream.push_frame(flat * i, t + offset))
        levels.append(int(engine.reacted[-1][2].frame[0, 0]) if len(engine.reacted) > asked else None)
    return levels, expressions


def test_first_is_chosen_by_time_when_frames_are_dropped():
    times = [i * 1_000_000 // 30 for i in range(40)]
    kept = [i for i in range(40) if i not in (3, 5, 6, 20)]
    levels, expressions = shown_levels([times[i] for i in kept])
    first_of = dict(zip(kept, levels, strict=True))
    index = {i: place for place, i in enumerate(kept)}
    assert [first_of[i] for i in (14, 16, 19)] == [index[2], index[4], index[7]]  # those 12 frames before
    # 3, 5 and 6 were dropped; of 2 and 4, 4 is nearer to 3 by the microsecond that 1/30 s is rounded by.
    assert [first_of[i] for i in (15, 17, 18)] == [index[4], index[4], index[7]]
    assert [e.time_us for e in expressions if e and "first" in e.missing] == [times[i] for i in (15, 17, 18, 32)]


@pytest.mark.parametrize("offset", [0, -(10**9), 10**15, 2**62])
def test_first_that_is_off_is_missing_and_too_far_off_gives_no_answer(offset):
    for gap_us, expected in (
        (SPAN_US, ("events",)),
        (SPAN_US + WINDOW_US, ("events",)),
        (SPAN_US + WINDOW_US + 1, ("events", "first")),
        (SPAN_US + SPAN_US // 2, ("events", "first")),
        (SPAN_US + SPAN_US // 2 + 1, None),
        (SPAN_US - WINDOW_US // 2, ("events",)),
        (SPAN_US - WINDOW_US // 2 - 1, None),
    ):
        _, (_, last) = shown_levels([0, gap_us], offset)
        assert (last and last.missing) == expected, gap_us


def test_after_a_pause_answers_come_back():
    times = [i * FRAME_US for i in range(20)] + [10**7 + i * FRAME_US for i in range(20)]
    levels, expressions = shown_levels(times)
    assert expressions[19].missing == ("events",)
    assert expressions[20:26] == [None] * 6  # nothing within half a span of where the first should be
    assert [e.missing for e in expressions[27:31]] == [("events", "first")] * 4
    assert levels[32:] == list(range(20, 28))
    assert [e.missing for e in expressions[32:]] == [("events",)] * 8


def test_old_moments_are_let_go():
    stream = Stream(StandInEngine(), SENSOR)
    image = np.zeros(SENSOR[::-1], np.uint8)
    for i in range(300):
        stream.push_frame(image, i * FRAME_US)
    assert len(stream._firsts) <= SPAN_US // FRAME_US + 2


def test_window_without_events_is_missing_them():
    stream = Stream(StandInEngine(), SENSOR)
    image = np.zeros(SENSOR[::-1], np.uint8)
    one = [np.array([v]) for v in (SPAN_US, 3, 4)]
    stream.push_frame(image, 0)
    stream.push_events(*one, np.array([True]))
    assert stream.push_frame(image, SPAN_US).missing == ()
    assert stream.push_frame(image, SPAN_US + WINDOW_US - 1).missing == ()
    assert stream.push_frame(image, SPAN_US + WINDOW_US).missing == ("events",)


def test_images_that_were_accumulated_before_answer_as_events_do():
    events, frames = make_recording()
    from_events, from_images = StandInEngine(), StandInEngine()
    expected = play(Stream(from_events, SENSOR), events, frames)
    window, stream, got = EventWindow(*SENSOR), Stream(from_images, SENSOR), []
    window.push(events[0], events[1].view(np.uint16), events[2].view(np.uint16), events[3].view(np.uint8))
    for t, image in frames:
        got.append(stream.push_images(image, window.image(t, WINDOW_US), t))
    assert any(got) and [*map(fields, got)] == [*map(fields, expected)]


@pytest.mark.parametrize(
    "sensor, image_size, roi",
    [
        ((346, 260), (100, 100), (43, 0, 260, 260)),
        ((260, 346), (100, 100), (0, 43, 260, 260)),
        ((346, 260), (100, 133), (0, 0, 346, 260)),  # what training resized, whole
        ((640, 480), (100, 200), (0, 80, 640, 320)),
    ],
)
def test_roi_is_the_largest_centred_rectangle_of_the_engines_aspect(sensor, image_size, roi):
    engine = StandInEngine()
    engine.image_size = image_size
    assert Stream(engine, sensor).roi == roi


def test_roi_may_be_given():
    engine = StandInEngine()
    stream = Stream(engine, SENSOR, View(roi=(5, 6, 10, 10)))
    image = np.random.default_rng(0).integers(0, 256, SENSOR[::-1]).astype(np.uint8)
    stream.push_frame(image, 0)
    stream.push_frame(image.T.copy().T, SPAN_US)  # rows needn't lie one after the other
    np.testing.assert_array_equal(engine.reacted[0][0], image[6:16, 5:15])


@pytest.mark.parametrize("roi", [(0, 0, 35, 10), (-1, 0, 10, 10), (0, 0, 0, 10), (0, 20, 10, 10)])
def test_roi_outside_the_sensor_is_refused(roi):
    with pytest.raises(ViewError, match="roi"):
        Stream(StandInEngine(), SENSOR, View(roi))


GOOD = np.zeros(SENSOR[::-1], np.uint8)
NOW = 10**15 + 600_000


@pytest.mark.parametrize(
    "error, message, call",
    [
        (FrameError, "float64", lambda s: s.push_frame(GOOD.astype(float), NOW)),
        (FrameError, "list", lambda s: s.push_frame([[0]], NOW)),
        (FrameError, r"shape \(34, 26\)", lambda s: s.push_frame(GOOD.T, NOW)),
        (FrameError, r"shape \(26, 34, 1\)", lambda s: s.push_frame(GOOD[..., None], NOW)),
        (FrameError, "event image", lambda s: s.push_images(GOOD, GOOD[1:], NOW)),
        (FrameError, "float", lambda s: s.push_frame(GOOD, float(NOW))),
        (FrameError, "int64", lambda s: s.push_frame(GOOD, 2**63)),
        (FrameError, "order", lambda s: s.push_frame(GOOD, 10**15)),
        (FrameError, "order", lambda s: s.push_frame(GOOD, s._newest_frame_us)),
        (EventError, "x = 34, y = 0", lambda s: s.push_events(*bad(x=34))),
        (EventError, "x = -1, y = 0", lambda s: s.push_events(*bad(x=-1))),
        (EventError, "x = 0, y = 26", lambda s: s.push_events(*bad(y=26))),
        (EventError, "x = 40000", lambda s: s.push_events(*bad(x=40000, pixels=np.uint16))),
        (EventError, "event 1 .* polarity 7", lambda s: s.push_events(*bad(p=7))),
        (EventError, f"event 1 .* at {NOW - 1} us, the one before at {NOW}", lambda s: s.push_events(*bad(t=NOW - 1))),
        (EventError, "event 0 .* at 5 us", lambda s: s.push_events(*(a[:1] for a in bad(first=5)))),
        (EventError, "float64", lambda s: s.push_events(GOOD[0].astype(float), GOOD[0], GOOD[0], GOOD[0])),
        (EventError, "NoneType", lambda s: s.push_events(np.zeros(3, np.int64), np.zeros(3, int))),
    ],
)
def test_after_an_error_the_stream_is_as_before(error, message, call):
    events, frames = make_recording(seconds=1.2)
    half = 15
    split = int(np.searchsorted(events[0], frames[half - 1][0], "right"))
    expected = play(Stream(StandInEngine(), SENSOR), events, frames)
    stream = Stream(StandInEngine(), SENSOR)
    got = play(stream, [a[:split] for a in events], frames[:half])
    for _ in range(2):
        with pytest.raises(error, match=message):
            call(stream)
    got += play(stream, [a[split:] for a in events], frames[half:])
    assert [*map(fields, got)] == [*map(fields, expected)]


def bad(first=NOW, t=NOW + 1, x=0, y=0, p=1, pixels=np.int32):
    """Three events, the second as given and the others good."""
    return (
        np.array([first, t, NOW + 2]),
        np.array([0, x, 0]).astype(pixels),
        np.array([0, y, 0]).astype(pixels),
        np.array([1, p, 1], np.int8),
    )


@pytest.mark.parametrize("failing", [5, 14])
def test_after_the_engine_failed_the_same_frame_can_be_given_again(failing):
    events, frames = make_recording()
    expected = play(Stream(StandInEngine(), SENSOR), events, frames)
    engine = StandInEngine()
    stream = Stream(engine, SENSOR)
    stream.push_events(*events)
    got = [stream.push_frame(image, t) for t, image in frames[:failing]]
    engine.broken = True
    for call in (lambda: stream.push_frame(*frames[failing][::-1]), stream.prepare):
        with pytest.raises(EngineError, match="on purpose"):
            call()
    engine.broken = False
    got += [stream.push_frame(image, t) for t, image in frames[failing:]]
    assert [*map(fields, got)] == [*map(fields, expected)]


def test_engine_failing_only_to_react_leaves_the_stream_as_before():
    events, frames = make_recording()
    expected = play(Stream(StandInEngine(), SENSOR), events, frames)
    engine = StandInEngine()
    stream = Stream(engine, SENSOR)
    stream.push_events(*events)
    got = [stream.push_frame(image, t) for t, image in frames[:14]]
    stream.prepare()
    engine.broken = True
    with pytest.raises(EngineError):
        stream.push_frame(*frames[14][::-1])
    engine.broken = False
    got += [stream.push_frame(image, t) for t, image in frames[14:]]
    assert [*map(fields, got)] == [*map(fields, expected)]


def test_a_frame_long_before_the_newest_event_is_refused_and_the_next_taken():
    stream = Stream(StandInEngine(), SENSOR)
    for t in (0, 480_000, 10**6, 2 * 10**6):
        stream.push_events(*(np.array([v]) for v in (t, 1, 1)), np.array([True]))
    with pytest.raises(FrameError, match="too late: the newest event is at 2000000 us"):
        stream.push_frame(GOOD, 500_000)
    assert stream.push_frame(GOOD, 2 * 10**6) is None


def test_an_engine_serves_several_streams():
    events, frames = make_recording()
    others, other_frames = make_recording(seed=9)
    engine = StandInEngine()
    streams = [Stream(engine, SENSOR) for _ in range(2)]
    streams[0].push_events(*events)
    streams[1].push_events(*others)
    got = []
    for (t, image), (other_t, other) in zip(frames, other_frames, strict=True):
        got.append(streams[0].push_frame(image, t))
        streams[1].push_frame(other, other_t)
    assert [*map(fields, got)] == [*map(fields, play(Stream(StandInEngine(), SENSOR), events, frames))]


def test_watch_prepares_after_each_answer_was_taken():
    events, frames = make_recording()

    class Source:
        sensor, view = SENSOR, View()
        is_live = False

        def __iter__(self):
            begin = 0
            for t, image in frames:
                end = int(np.searchsorted(events[0], t, "right"))
                yield canthus.Events(*(array[begin:end] for array in events))
                yield canthus.Frame(image, t)
                begin = end

    engine = StandInEngine()
    got = []
    for expression in canthus.watch(engine, Source()):
        assert engine.primed == 12 + len(got)  # not that of the newest frame yet
        got.append(expression)
    assert engine.primed == len(frames)
    expected = play(Stream(StandInEngine(), SENSOR), events, frames)
    assert [*map(fields, got)] == [fields(e) for e in expected if e]
