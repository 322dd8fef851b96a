"""The live stream's own logic, driven in virtual time: a second of a camera's life takes milliseconds.

Arrivals come at their true times plus a delay, and the engine takes the time that it is told to take. What is run is
all that `LiveStream` runs, but for its thread and the system's clock.
"""

from typing import NamedTuple

import numpy as np

from canthus import Events, Frame, Images, Stream, View
from canthus.live.answering import Answering
from canthus.live.delivery import Delivery
from canthus.live.inbox import Inbox
from canthus.sources.faulty import FaultySource, true_arrivals
from test_stream import FRAME_US, SENSOR, StandInEngine

PACKET_US = 10_000
MOST_STEPS = 1000  # between two arrivals; more is a worker that spins
RESUME_WITHIN_US = 500_000  # after the data are clean again
WHOLE_WITHIN_US = 950_000  # also what lies 0.4 s before is clean then
FRAME_REASONS = {
    *("answered", "warming up", "superseded", "late", "unread", "duplicate", "out of order", "time jump", "malformed"),
    *("too late", "failed", "stopped"),
}
PACKET_REASONS = {
    *("taken", "in part", "too late", "time jump", "invalid", "malformed", "overflowed", "unmatched", "stopped"),
}


class Source:
    """A clean recording of random events and frames, with packets of 10 ms."""

    sensor = SENSOR
    is_live = False
    view = View()

    def __init__(self, seconds=2.1, start_us=10**15, seed=0, images=False, per_second=30_000):
        random = np.random.default_rng(seed)
        packets = []
        for begin in range(start_us, start_us + int(seconds * 1e6), PACKET_US):
            t = np.sort(random.integers(begin, begin + PACKET_US, per_second * PACKET_US // 10**6))
            x, y = (random.integers(0, size, len(t), np.int16) for size in SENSOR)
            packets.append((begin + PACKET_US, Events(t, x, y, random.integers(0, 2, len(t)).astype(bool))))
        # None after the last events, so that every frame has its own.
        for i, time_us in enumerate(range(start_us, start_us + int(seconds * 1e6) - PACKET_US, FRAME_US)):
            image = random.integers(1, 256, SENSOR[::-1]).astype(np.uint8)
            pair = images and i % 5 == 0
            packets.append((time_us, Images(image, image, time_us) if pair else Frame(image, time_us)))
        self.packets = [packet for _, packet in sorted(packets, key=lambda timed: timed[0])]

    def __iter__(self):
        return iter(self.packets)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


class Answer(NamedTuple):
    delivered_us: int  # by the host's clock
    time_us: int
    clocks_set: int  # before it
    missing: tuple


class VirtualLive:
    """Pushes like `LiveStream`, works like its worker, and keeps the answers."""

    def __init__(self, react_us=3000, prime_us=3000, now_us=10**12, **options):
        self.now_ns = now_us * 1000
        self.engine = StandInEngine()
        self._lasts_ns(self.engine, "react", react_us * 1000)
        self._lasts_ns(self.engine, "prime", prime_us * 1000)
        self.inbox = Inbox()
        self.answers = []
        options = {"deadline_us": 100_000, "wait_us": 10_000, "separate_clocks": False} | options
        self.answering = Answering(
            self.inbox,
            lambda: Stream(self.engine, SENSOR),
            Delivery(self._answered, "on_expression", self.inbox.unread).give,
            lambda episode: None,
            lambda: self.now_ns,
            **options,
        )
        self._due = 0
        self.frames_pushed = self.packets_pushed = 0
        self.frame_times = set()

    def push(self, packet, arrived_us):
        """As `LiveStream.push`, at a time, once all was done that was due before."""
        self.work_until(arrived_us)
        self.now_ns = max(self.now_ns, arrived_us * 1000)
        if isinstance(packet, Events):
            self.packets_pushed += 1
            given = tuple(packet)
            given = given[:1] if all(array is None for array in given[1:]) else given
            self.inbox.put_events(given, arrived_us * 1000)
            return
        self.frames_pushed += 1
        if isinstance(packet.time_us, int):
            self.frame_times.add(packet.time_us)
        images = (packet.image, None) if isinstance(packet, Frame) else (packet.frame, packet.event)
        self.inbox.put_frame(*images, packet.time_us, arrived_us * 1000)

    def work_until(self, until_us):
        """Step as the worker does, as long as there is something to do before a time."""
        for _ in range(MOST_STEPS):
            wake_ns = self.now_ns if sum(self.inbox.depth) else self._due
            if wake_ns is None or max(wake_ns, self.now_ns) >= until_us * 1000:
                return
            self.now_ns = max(self.now_ns, wake_ns)
            self._due = self.answering.step()
        raise AssertionError(f"the worker steps and steps at {self.now_ns // 1000} us")

    def finish(self):
        """Let it do all that is left."""
        self.work_until(self.now_ns // 1000 + 1_000_000)

    def stop(self):
        """As the worker does when the stream is closed."""
        self.inbox.close()
        self.answering.stop()

    def _answered(self, expression):
        e, clocks_set = expression, self.answering.health().clocks_set
        self.answers.append(Answer(self.now_ns // 1000, e.time_us, clocks_set, e.missing))

    def _lasts_ns(self, engine, name, duration_ns):
        call = getattr(engine, name)

        def lasting(*arguments):
            self.now_ns += duration_ns
            return call(*arguments)

        setattr(engine, name, lasting)


SOURCES = [Source(), Source(start_us=0, seed=1, images=True)]


def play(kinds, seed, sources=SOURCES, until_us=800_000):
    """Give the stream one of the sources with faults, and check what must hold whatever a sensor does.

    Returns:
        How long it took from clean data to the first answer, in microseconds.
    """
    random = np.random.default_rng([seed, 1])
    clean, wait_us = sources[seed % 2], 20_000  # longer than packets are
    costs, now_us = random.integers(500, 12_000, 2), int(random.integers(0, 10**13))
    slowest_us = int(random.integers(0, 4000))
    live = VirtualLive(*costs, now_us, wait_us=wait_us, separate_clocks=seed % 4 == 3)
    start_us = next(true_arrivals(clean)).at_us
    source = FaultySource(clean, kinds, seed, until_us)
    arrived_us = 0
    for at_us, packet in source.arrivals():
        arrived_us = max(arrived_us, now_us + at_us - start_us + int(random.integers(0, slowest_us + 1)))
        live.push(packet, arrived_us)
    if seed % 3:
        live.finish()
    live.stop()
    assert_times_are_right(live)
    assert_all_is_accounted_for(live)
    clean_us = now_us + (source.clean_from_us or start_us) - start_us + slowest_us
    return assert_it_recovers(live, clean_us, arrived_us)


def assert_times_are_right(live):
    assert {answer.time_us for answer in live.answers} <= live.frame_times
    for before, after in zip(live.answers, live.answers[1:], strict=False):
        assert after.time_us > before.time_us or after.clocks_set > before.clocks_set


def assert_all_is_accounted_for(live):
    frames, packets, events = (book.ledger() for book in (live.inbox.frames, live.inbox.packets, live.inbox.events))
    assert (frames.came, packets.came) == (live.frames_pushed, live.packets_pushed)
    assert set(frames.ended) <= FRAME_REASONS and set(packets.ended) <= PACKET_REASONS
    for ledger in (frames, packets, events):
        assert ledger.waiting == 0 and ledger.balanced
    assert frames.ended.get("answered", 0) == len(live.answers)


def assert_it_recovers(live, clean_us, last_us):
    after = [answer for answer in live.answers if answer.delivered_us > clean_us]
    assert after, "no answer after clean data"
    assert after[0].delivered_us - clean_us <= RESUME_WITHIN_US
    whole = [answer.missing for answer in after if answer.delivered_us > clean_us + WHOLE_WITHIN_US]
    assert whole or last_us < clean_us + WHOLE_WITHIN_US + FRAME_US
    assert not any(whole)
    return after[0].delivered_us - clean_us
