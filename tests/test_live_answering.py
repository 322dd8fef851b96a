"""What becomes of frames and events, in virtual time: the worker's logic without its thread."""

import numpy as np
import pytest

from canthus import Stream
from canthus.live.answering import Answering
from canthus.live.delivery import Delivery
from canthus.live.inbox import Inbox
from canthus.live.sensor_clock import ClockOffset
from test_stream import FRAME_US, SENSOR, SPAN_US, StandInEngine, fields, make_recording, play

pytestmark = pytest.mark.alone

WAIT_US, DEADLINE_US = 10_000, 100_000


class Rig:
    """An inbox and its worker, by a clock that only moves when told."""

    def __init__(self, engine=None, separate_clocks=False, sensor=SENSOR):
        self.now_us, self.answers, self.engine = 0, [], engine or StandInEngine()
        self.inbox = Inbox()
        delivery = Delivery(self.answers.append, "on_expression", self.inbox.unread)
        self.answering = Answering(
            self.inbox,
            lambda: Stream(self.engine, sensor),
            delivery.give,
            lambda episode: None,
            lambda: self.now_us * 1000,
            deadline_us=DEADLINE_US,
            wait_us=WAIT_US,
            separate_clocks=separate_clocks,
        )
        self.due = None
        self.origin_us = self.reached_us = None

    def until(self, now_us):
        """Let time pass, and the worker wake when it asked to."""
        while self.due is not None and self.due <= now_us * 1000:
            self.now_us = max(self.now_us, -(-self.due // 1000))
            self.work()
        self.now_us = max(self.now_us, now_us)

    def work(self):
        while (due := self.answering.step()) == 0:
            pass
        self.due = due

    def events(self, events, work=True):
        self.inbox.put_events(tuple(events), self.now_us * 1000)
        if work:
            self.work()

    def frame(self, t, image=None, work=True):
        image = (
            np.random.default_rng(t % 2**32).integers(0, 256, SENSOR[::-1]).astype(np.uint8) if image is None else image
        )
        self.inbox.put_frame(image, None, t, self.now_us * 1000)
        if work:
            self.work()

    @property
    def frames(self):
        return self._ended(self.inbox.frames)

    @property
    def packets(self):
        return self._ended(self.inbox.packets)

    @property
    def single_events(self):
        return self._ended(self.inbox.events)

    def _ended(self, book):
        ledger = book.ledger()
        assert ledger.balanced and ledger.waiting >= 0
        return ledger.ended


def cut(events, begin, end):
    """Those after `begin`, up to `end`."""
    first, last = np.searchsorted(events[0], [begin, end], "right")
    return tuple(array[first:last] for array in events)


def run(rig, events, frames, delay_us=2000):
    """Every frame with the events up to it that were not given yet, both after the same way to the host."""
    if rig.origin_us is None:
        rig.origin_us, rig.reached_us = int(events[0][0]), int(events[0][0]) - 1
    for t, image in frames:
        rig.until(t - rig.origin_us + delay_us)
        rig.events(cut(events, rig.reached_us, t), work=False)
        rig.frame(t, image)
        rig.reached_us = t
    rig.until(rig.now_us + WAIT_US)


@pytest.fixture
def recording():
    return make_recording(1.2)


def test_answers_are_those_of_the_stream(recording):
    rig = Rig()
    run(rig, *recording)
    expected = [e for e in play(Stream(StandInEngine(), SENSOR), *recording) if e is not None]
    # The last of a frame's events may be a little older than it, so the wait for the next ones goes by.
    assert [fields(e)[:5] for e in rig.answers] == [fields(e)[:5] for e in expected]
    assert rig.frames == {"warming up": 12, "answered": len(expected)}
    assert set(rig.packets) == {"taken"} and set(rig.single_events) == {"taken"}


def test_a_frame_waits_for_its_events_and_no_longer_than_is_set(recording):
    events, frames = recording
    rig = Rig()
    run(rig, events, frames[:-1])
    answered, (t, image) = len(rig.answers), frames[-1]
    rig.frame(t, image)
    rig.until(rig.now_us + WAIT_US - 1)
    assert len(rig.answers) == answered
    begin = rig.now_us
    rig.events(cut(events, frames[-2][0], t + 5000))  # the first event behind the frame says that all came
    assert len(rig.answers) == answered + 1
    assert rig.answers[-1].missing == () and rig.answers[-1].latency_us == rig.now_us - begin + WAIT_US - 1
    rig.frame(t + FRAME_US)
    rig.until(rig.now_us + WAIT_US)
    assert rig.answers[-1].time_us == t + FRAME_US
    assert rig.answers[-1].missing == ("events",) and rig.answers[-1].latency_us == WAIT_US


def test_late_events_are_used_where_still_possible(recording):
    events, frames = recording
    t = frames[-1][0]
    expected, rig = Rig(), Rig()
    for one in (expected, rig):
        run(one, events, frames[:-2])
    newest, middle = frames[-3][0], t - 20_000
    expected.events(cut(events, newest, t + 1000))
    rig.events(cut(events, middle, t + 1000))
    rig.events(cut(events, newest, middle))  # after newer ones
    for one in (expected, rig):
        one.frame(t, frames[-1][1])
    assert fields(rig.answers[-1]) == fields(expected.answers[-1])
    assert rig.single_events["late"] == len(cut(events, newest, middle)[0])
    old = cut(events, frames[-4][0], frames[-4][0] + 1000)  # no frame to come looks at them
    rig.events(old)
    assert rig.single_events["too late"] == len(old[0]) and rig.packets["too late"] == 1


def test_the_newest_frame_wins(recording):
    events, frames = recording
    rig = Rig()
    run(rig, events, frames[:-3])
    rig.events(cut(events, frames[-4][0], events[0][-1]), work=False)
    for t, image in frames[-3:]:
        rig.frame(t, image, work=False)
    rig.work()
    assert rig.answers[-1].time_us == frames[-1][0] and rig.answers[-2].time_us == frames[-4][0]
    assert rig.frames["superseded"] == 2


def test_an_answer_after_its_deadline_is_dropped(recording):
    class Slow(StandInEngine):
        def react(self, *arguments):
            rig.now_us += self.takes_us
            return super().react(*arguments)

    rig = Rig(Slow())
    rig.engine.takes_us = 0
    events, frames = recording
    run(rig, events, frames[:-2])
    answered = len(rig.answers)
    rig.engine.takes_us = DEADLINE_US + 1
    rig.events(cut(events, frames[-3][0], events[0][-1]), work=False)
    rig.frame(*frames[-2])
    assert len(rig.answers) == answered and rig.frames["late"] == 1
    rig.frame(*frames[-1], work=False)
    rig.now_us += DEADLINE_US + 1
    before = len(rig.engine.reacted)
    rig.work()
    assert rig.frames["late"] == 2 and len(rig.engine.reacted) == before  # not even begun


@pytest.mark.parametrize("jump_us", [-3_600_000_000, -99_000, 250_000, 10**12])
def test_one_wild_time_costs_one_packet(recording, jump_us):
    events, frames = recording
    rig = Rig()
    run(rig, events, frames[:20])
    rig.frame(frames[20][0] + jump_us)
    t, x, y, p = cut(events, frames[19][0], frames[20][0])
    rig.events((t + jump_us, x, y, p))
    rig.until(rig.now_us + WAIT_US)
    rig.reached_us = frames[20][0]
    run(rig, events, frames[21:])
    if abs(jump_us) > 10**6:
        assert rig.frames["time jump"] == 1 and rig.packets["time jump"] == 1
    assert rig.answering.health().clocks_set == 0
    real = {t for t, _ in frames} | {frames[20][0] + jump_us}
    assert all(e.time_us in real for e in rig.answers)
    assert [e.time_us for e in rig.answers][-5:] == [t for t, _ in frames[-5:]]


@pytest.mark.parametrize("begin", [0, 10**15 + 3_600_000_000, 10**9])
def test_a_clock_that_was_set_begins_the_stream_anew(recording, begin):
    rig, (events, frames) = Rig(), recording
    run(rig, events, frames)
    answered, t0 = len(rig.answers), int(events[0][0])
    again = (events[0] - t0 + begin, *events[1:])
    later = [(int(t) - t0 + begin, image) for t, image in frames]
    start = rig.now_us
    for (t, image), before in zip(later, [begin - 1, *(t for t, _ in later)], strict=False):
        rig.until(start + t - begin + 2000)
        rig.events(cut(again, before, t), work=False)
        rig.frame(t, image)
    rig.until(rig.now_us + WAIT_US)
    fresh = rig.answers[answered:]
    assert rig.answering.health().clocks_set == 1
    assert fresh and fresh[0].time_us - begin <= SPAN_US + 3 * FRAME_US
    assert [e.time_us for e in fresh] == [t for t, _ in later[-len(fresh) :]]


def test_dead_frames_are_told_of(recording):
    events, frames = recording
    rig = Rig()
    run(rig, events, [(t, frames[0][1]) if 13 <= i < 16 else (t, image) for i, (t, image) in enumerate(frames)])
    dead = [(e.time_us, "frame" in e.missing) for e in rig.answers]
    assert [t for t, is_dead in dead if is_dead] == [t for t, _ in frames[14:16]]
    assert rig.answering.health().frozen_frames == 2
    rig.frame(frames[-1][0] + FRAME_US, np.zeros(SENSOR[::-1], np.uint8))
    rig.until(rig.now_us + WAIT_US)
    assert "frame" in rig.answers[-1].missing and rig.answering.health().black_frames == 1


@pytest.mark.parametrize("part", ["react", "prime"])
def test_an_engine_that_fails_costs_answers_and_nothing_else(recording, part, monkeypatch):
    events, frames = recording
    rig = Rig()
    run(rig, events, frames[:20])

    def fail(*arguments):
        raise RuntimeError("out of memory")

    with monkeypatch.context() as broken:
        broken.setattr(rig.engine, part, fail)
        run(rig, events, frames[20:22])
    answered = len(rig.answers)
    more, later = make_recording(1.2, start=frames[21][0] + 1)
    run(rig, more, later)
    assert len(rig.answers) - answered >= len(later) - 13
    if part == "react":
        assert rig.frames["failed"] == 2


def test_two_clocks_are_matched_by_when_things_arrive(recording):
    """The events' clock is 7 s ahead and 200 ppm too fast; the ways take 1 ms and now and then up to 9 ms."""
    events, frames = make_recording(4.0)
    drift, ahead = 2e-4, 7_000_000
    t0 = int(events[0][0])
    skewed = (np.int64(t0 + ahead) + ((events[0] - t0) * (1 + drift)).astype(np.int64), *events[1:])
    random = np.random.default_rng(0)
    rig, expected = Rig(separate_clocks=True), Rig()
    run(expected, events, frames)
    packets = [cut(events, t, t + 4000) for t in range(t0 - 1, t0 + 3_990_000, 4000)]
    arrivals = [(int(p[0][-1]) - t0 + 1000 + int(random.exponential(800)), "events", p) for p in packets if len(p[0])]
    arrivals += [(int(t) - t0 + 1000 + int(random.exponential(800)), "frame", (t, image)) for t, image in frames]
    for arrived, kind, what in sorted(arrivals, key=lambda arrival: arrival[0]):
        rig.until(arrived)
        if kind == "events":
            first = np.searchsorted(events[0], what[0][0])
            rig.events(tuple(array[first : first + len(what[0])] for array in skewed))
        else:
            rig.frame(*what)
    real = -(ahead + drift * 4e6)
    assert abs(rig.answering.health().clock_offset_us - real) < 1000 + drift * 8e6
    assert rig.frames["answered"] == expected.frames["answered"]
    assert [e.time_us for e in rig.answers] == [e.time_us for e in expected.answers]
    # A millisecond off, most of the 33 ms of events are the right ones: the images are nearly those.
    own, theirs = (np.concatenate([r[1].ravel() for r in one.engine.reacted[-20:]]) for one in (rig, expected))
    assert np.corrcoef(own, theirs)[0, 1] > 0.9


def test_a_clock_that_was_set_has_another_offset():
    """What was known of the offset is of no use when one of two clocks was set."""
    events, frames = make_recording(1.2)
    rig = Rig(separate_clocks=True)
    run(rig, events, frames)
    assert rig.answering.health().clock_offset_us is not None
    later = 3_600_000_000
    for t, image in frames[:4]:
        rig.until(rig.now_us + 33_000)
        rig.frame(int(t) + later, image)
    assert rig.answering.health().clocks_set == 1
    assert rig.answering.health().clock_offset_us is None


def test_offset_needs_both_and_forgets_old_ways():
    offset = ClockOffset()
    offset.arrived("events", 0, 5_000_000)
    assert offset.offset_us is None
    offset.arrived("frames", 3_000, 9_000_000)
    assert offset.offset_us == 5_000 - 6_000
    for second in range(1, 20):
        offset.arrived("events", second * 10**6, second * 10**9 + 9_000_000)
        offset.arrived("frames", second * 10**6, second * 10**9 + 8_000_000)
    assert offset.offset_us == 1000


BAD_EVENTS = [
    (),
    (None,),
    (np.zeros(3, np.int64), np.zeros(2, np.int16), np.zeros(3, np.int16), np.ones(3, bool)),
    (np.full(3, np.nan), *[np.zeros(3, np.int16)] * 2, np.ones(3, bool)),
    (np.zeros((2, 2), np.int64), *[np.zeros((2, 2), np.int16)] * 2, np.ones((2, 2), bool)),
]
BAD_FRAMES = [
    (None, 0),
    (np.zeros((3, 3), np.uint8), 10**15),
    (np.zeros(SENSOR[::-1], np.float32), 10**15),
    (np.zeros((*SENSOR[::-1], 3), np.uint8), 10**15),
    (np.zeros(SENSOR[::-1], np.uint8), 1.5),
    (np.zeros(SENSOR[::-1], np.uint8), None),
    (np.zeros(SENSOR[::-1], np.uint8), 2**70),
]


def test_what_is_malformed_is_counted(caplog):
    rig = Rig()
    for events in BAD_EVENTS:
        rig.events(events)
        rig.events(events)
    for image, t in BAD_FRAMES:
        rig.inbox.put_frame(image, None, t, 0)
        rig.work()
    assert rig.packets == {"malformed": 2 * len(BAD_EVENTS)}
    assert rig.frames == {"malformed": len(BAD_FRAMES)}
    assert len([r for r in caplog.records if "packet of events can't be used" in r.message]) == 1  # once a kind


def test_live_streams_take_what_streams_take(recording):
    """Polarities -1 and 1, lists, times of other types: the same answers, and nothing counted as damage."""
    events, frames = recording
    t, x, y, p = events
    expected = Rig()
    run(expected, events, frames)
    forms = (
        (t, x, y, np.where(p, 1, -1).astype(np.int8)),
        (t.astype(np.uint64), x.astype(np.int64), y.astype(np.uint8), np.where(p, 1, -1)),
    )
    for form in forms:
        rig = Rig()
        run(rig, form, frames)
        assert rig.single_events == expected.single_events and set(rig.single_events) == {"taken"}
        assert all(
            np.array_equal(a, b)
            for one, other in zip(rig.engine.reacted, expected.engine.reacted, strict=True)
            for a, b in zip(one, other, strict=True)
        )
    rig = Rig()
    rig.events((t[:3].tolist(), x[:3].tolist(), y[:3].tolist(), p[:3].tolist()))
    assert rig.single_events == {"taken": 3}


def test_a_full_inbox_lets_the_oldest_go(monkeypatch):
    monkeypatch.setattr("canthus.live.inbox._EVENTS", 2500)
    rig = Rig()
    (t, x, y, p), frames = make_recording(1.0)
    for begin in range(0, 5000, 1000):
        rig.events((t[begin : begin + 1000], x[:1000], y[:1000], p[:1000]), work=False)
    for time_us, image in frames[:12]:
        rig.frame(time_us, image, work=False)
    assert rig.packets == {"overflowed": 3} and rig.single_events == {"overflowed": 3000}
    assert rig.frames == {"superseded": 4}
    rig.work()
    assert rig.packets["taken"] == 2 and rig.frames["superseded"] == 11


def test_stalls_are_counted(recording):
    rig, (events, frames) = Rig(), recording
    run(rig, events, frames[:5])
    assert not rig.answering.health().stalled and rig.answering.health().stalls == 0
    rig.until(rig.now_us + 250_000)
    assert rig.answering.health().stalled
    rig.frame(frames[-1][0])
    assert rig.answering.health().stalls == 1 and not rig.answering.health().stalled
