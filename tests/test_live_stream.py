"""The live stream as apps use it: on its thread, by callback, iteration and asyncio; and how it stops."""

import asyncio
import gc
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import canthus
from canthus import LiveError, LiveStream, Stream, _native
from canthus.device.readings import memory_bytes
from canthus.live.delivery import UNREAD
from canthus.live.feed import feed
from canthus.live.inbox import Inbox
from test_stream import FRAME_US, SENSOR, StandInEngine, fields, make_recording, play

pytestmark = pytest.mark.alone

WORKER = "canthus-live"
PATIENT_US = 60_000_000
"""A deadline where none is to be missed, however busy the machine is."""


class Paced(StandInEngine):
    """Waits, where it is told to, until it is told to go on."""

    def __init__(self):
        super().__init__()
        self.go, self.reached = threading.Event(), threading.Event()
        self.go.set()

    def react(self, *arguments):
        self.reached.set()
        self.go.wait(60)
        return super().react(*arguments)


def push_all(live, events, frames, gap=0.001, ahead=3):
    """Each frame with the events up to it and a few more, as cameras give them."""
    begin = 0
    for t, image in frames:
        end = int(np.searchsorted(events[0], t, "right")) + ahead
        live.push_events(*(array[begin:end] for array in events))
        live.push_frame(image, t)
        begin = end
        live.drain(60) if gap == 0 else time.sleep(gap)


def workers():
    return [thread for thread in threading.enumerate() if thread.name == WORKER]


@pytest.fixture(autouse=True)
def no_thread_stays():
    assert not workers()
    yield
    gc.collect()
    end = time.monotonic() + 1
    while workers() and time.monotonic() < end:
        time.sleep(0.01)
    assert not workers()


@pytest.fixture(scope="module")
def recording():
    return make_recording(0.8)


@pytest.fixture(scope="module")
def expected(recording):
    return [fields(e) for e in play(Stream(StandInEngine(), SENSOR), *recording) if e is not None]


def test_callback_gets_what_the_stream_says(recording, expected):
    got, threads = [], set()

    def show(expression):
        threads.add(threading.current_thread().name)
        got.append(expression)

    with LiveStream(StandInEngine(), SENSOR, on_expression=show, deadline_us=PATIENT_US) as live:
        push_all(live, *recording, gap=0)
        assert live.drain(60)
        health = live.health
    assert [fields(e) for e in got] == expected and threads == {WORKER}
    assert health.frames.balanced and health.packets.balanced and health.events.balanced
    assert health.frames.ended == {"warming up": 12, "answered": len(expected)}
    assert set(live.costs_us) == {"accumulate", "resize", "react", "prime"}


def test_iteration_ends_with_the_stream(recording, expected):
    live = LiveStream(StandInEngine(), SENSOR, deadline_us=PATIENT_US)
    pusher = threading.Thread(target=lambda: (push_all(live, *recording, gap=0), live.drain(60), live.close()))
    pusher.start()
    assert [fields(e) for e in live] == expected
    pusher.join()
    assert list(live) == []


def test_asyncio_ends_with_the_stream(recording, expected):
    async def main():
        got = []
        with LiveStream(StandInEngine(), SENSOR, deadline_us=PATIENT_US) as live:

            async def push():
                await asyncio.to_thread(push_all, live, *recording, gap=0)
                await asyncio.to_thread(live.drain, 60)
                live.close()

            pushing = asyncio.create_task(push())
            async for expression in live:
                got.append(expression)
            await pushing
        return got

    assert [fields(e) for e in asyncio.run(main())] == expected


def test_a_task_that_waits_for_answers_can_be_cancelled():
    async def main():
        with LiveStream(StandInEngine(), SENSOR) as live:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(anext(aiter(live)), 0.05)
            assert not live._delivery._sleepers

    asyncio.run(main())


@pytest.mark.wall_time
def test_pushing_copies_and_does_not_wait(recording):
    (t, x, y, p), frames = (tuple(a.copy() for a in recording[0]), recording[1])
    engine, got = Paced(), []
    with LiveStream(engine, SENSOR, on_expression=got.append, deadline_us=5_000_000) as live:
        push_all(live, (t, x, y, p), frames[:12], gap=0)
        engine.go.clear()
        longest = 0.0
        image = frames[12][1].copy()
        for array, value in ((t, 0), (x, 1)):
            begin = time.perf_counter()
            live.push_events(t, x, y, p)
            live.push_frame(image, frames[12][0])
            longest = max(longest, time.perf_counter() - begin)
            array[:] = value
        image[:] = 0
        assert engine.reached.wait(60)
        engine.go.set()
        assert live.drain(60)
    assert longest < 0.05
    assert got[0].missing == () and live.health.black_frames == 0


def test_what_is_not_read_makes_room_for_what_is_newer():
    events, frames = make_recording(3.2)
    with LiveStream(StandInEngine(), SENSOR, deadline_us=PATIENT_US) as live:
        push_all(live, events, frames, gap=0)
        health = live.health
    answers = len(frames) - 12
    assert answers > UNREAD and health.frames.balanced
    assert health.frames.ended == {"warming up": 12, "answered": UNREAD, "unread": answers - UNREAD}
    assert [e.time_us for e in live] == [t for t, _ in frames[-UNREAD:]]


def test_a_callback_that_raises_is_counted_and_told_of_once(recording, expected, caplog):
    def show(expression):
        raise ValueError("the app's own mistake")

    with LiveStream(StandInEngine(), SENSOR, on_expression=show, deadline_us=PATIENT_US) as live:
        push_all(live, *recording, gap=0)
        assert live.health.callback_errors == len(expected)
    assert sum("on_expression raised" in record.message for record in caplog.records) == 1


class Enough(BaseException):
    """No Exception, as SystemExit and KeyboardInterrupt are none."""


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, Enough])
def test_a_callback_that_ends_its_thread_ends_the_stream_in_order(recording, kind):
    def show(expression):
        raise kind("enough")

    live = LiveStream(StandInEngine(), SENSOR, on_expression=show, deadline_us=PATIENT_US)
    read = ThreadPoolExecutor(1).submit(list, live)  # a reader that waits, though answers go to the callback
    push_all(live, *recording, gap=0.002)
    with pytest.raises(LiveError, match=rf"raised {kind.__name__}\('enough'\); make a new one") as told:
        read.result(10)
    assert isinstance(told.value.__cause__, kind)
    assert live.drain(10)
    health = live.health
    assert health.ended.startswith("the stream ended, since a callback or the engine raised")
    assert health.frames.balanced and health.frames.ended["answered"] == 1 and health.frames.ended["stopped"] > 0
    assert health.packets.balanced and health.packets.waiting == health.frames.waiting == 0
    with pytest.raises(LiveError, match="the stream ended"):
        asyncio.run(read_all(live))
    live.close()


async def read_all(live):
    return [expression async for expression in live]


def test_a_stream_that_was_closed_ended_as_it_should(recording):
    with LiveStream(StandInEngine(), SENSOR) as live:
        push_all(live, *recording, gap=0.002)
    assert live.health.ended is None and list(live)


STATES = ["fresh", "warming up", "waiting for events", "reacting", "between", "full"]


@pytest.mark.wall_time
@pytest.mark.parametrize("state", STATES)
def test_stops_within_100_ms_from_any_state(state, recording):
    events, frames = recording

    class Working(StandInEngine):
        def react(self, *arguments):
            reacting.set()
            time.sleep(0.02)
            return super().react(*arguments)

    reacting = threading.Event()
    live = LiveStream(Working(), SENSOR, wait_us=10_000_000 if state == "waiting for events" else 10_000)
    if state == "warming up":
        push_all(live, events, frames[:5], gap=0)
    elif state == "waiting for events":
        live.push_frame(frames[0][1], frames[0][0])
        time.sleep(0.02)
        assert live.health.frames.waiting == 1
    elif state != "fresh":
        push_all(live, events, frames[:15], gap=0)
        if state != "between":
            reacting.clear()
            push_all(live, tuple(a[-100:] for a in events), frames[15:16], gap=0.001)
            for _ in range(100 if state == "full" else 0):
                live.push_events(*events)
            assert reacting.wait(2)
    begin = time.perf_counter()
    live.close()
    assert time.perf_counter() - begin < 0.1
    assert not workers()
    live.close()
    live.push_frame(frames[-1][1], frames[-1][0])
    live.push_events(*events)
    health = live.health
    assert health.frames.waiting == health.packets.waiting == health.events.waiting == 0
    assert health.frames.balanced and health.packets.balanced and health.events.balanced
    assert health.frames.ended["stopped"] >= 1 and health.packets.ended["stopped"] >= 1


def test_a_callback_may_close_its_stream(recording):
    closed = []
    live = LiveStream(
        StandInEngine(),
        SENSOR,
        on_expression=lambda expression: (live.close(), closed.append(expression)),
        deadline_us=PATIENT_US,
    )
    push_all(live, *recording, gap=0.002)
    live.close()
    assert len(closed) == 1


def test_a_stream_that_nobody_holds_is_closed():
    live = LiveStream(StandInEngine(), SENSOR)
    assert workers()
    del live  # the fixture looks


def test_an_app_that_forgot_to_close_still_exits(recording):
    code = (
        "import sys; sys.path[:0] = [sys.argv[1]]\n"
        "from test_live_stream import *\n"
        "live = LiveStream(StandInEngine(), SENSOR, deadline_us=PATIENT_US)\n"
        "push_all(live, *make_recording(0.6), gap=0)\n"
        "print(live.health.frames.ended)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(Path(__file__).parent)], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "") and "answered" in done.stdout


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="threads are bound to cores on Linux only")
def test_the_worker_takes_the_place_it_is_given():
    core = min(os.sched_getaffinity(0))
    nice = min(os.getpriority(os.PRIO_PROCESS, 0) + 5, 19)
    with LiveStream(StandInEngine(), SENSOR, nice=nice, cpus=[core]):
        thread = workers()[0].native_id
        assert os.getpriority(os.PRIO_PROCESS, thread) == nice
        assert os.sched_getaffinity(thread) == {core}
    with pytest.raises(LiveError, match=r"cores \[4095\]: not to be had here"):
        LiveStream(StandInEngine(), SENSOR, cpus=[4095])


def test_a_priority_that_is_not_granted_is_told(monkeypatch):
    def deny(*arguments):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "setpriority", deny)
    with pytest.raises(LiveError, match="niceness -20: the system doesn't grant it"):
        LiveStream(StandInEngine(), SENSOR, nice=-20)


def test_a_sensor_that_can_not_be_is_told_at_once():
    with pytest.raises(canthus.FrameError, match="sensor"):
        LiveStream(StandInEngine(), (0, 0))


class Recorded:
    """A recording in memory."""

    is_live, sensor, view = False, SENSOR, canthus.View()

    def __init__(self, events, frames):
        self.packets, begin = [], 0
        for t, image in frames:
            end = int(np.searchsorted(events[0], t, "right"))
            self.packets += [canthus.Events(*(a[begin:end] for a in events)), canthus.Frame(image, t)]
            begin = end

    def __iter__(self):
        return iter(self.packets)


@pytest.mark.wall_time
def test_feed_keeps_the_recordings_pace(recording):
    events, frames = recording
    with LiveStream(StandInEngine(), SENSOR) as live:
        begin = time.monotonic()
        feed(Recorded(events, frames[:10]), live, threading.Event(), speed=2.0)
        took = time.monotonic() - begin
        assert 9 * FRAME_US / 2e6 * 0.9 < took < 1
        live.drain(1)
        assert live.health.frames.came == 10 and live.health.packets.came == 10


@pytest.mark.wall_time
def test_feed_stops_when_told(recording):
    stop = threading.Event()
    with LiveStream(StandInEngine(), SENSOR) as live:
        threading.Timer(0.1, stop.set).start()
        begin = time.monotonic()
        feed(Recorded(*recording), live, stop, speed=0.1)
        assert time.monotonic() - begin < 1 and live.health.frames.came < 10


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other platforms don't tell a process's own memory")
def test_what_a_long_queue_took_is_given_back():
    """Freed memory between what is still in use stays with the heap, unless it is told."""
    inbox = Inbox()
    packet = tuple(np.zeros(1000, dtype) for dtype in (np.int64, np.uint16, np.uint16, np.uint8))
    inbox.put_events(packet, 0)
    assert inbox.take() is not None and inbox.take() is None
    before = memory_bytes()["own"]
    kept = []
    for number in range(3000):  # 39 MB
        inbox.put_events(packet, 0)
        if number % 20 == 19:
            kept.append(np.zeros(300))
    full = memory_bytes()["own"]
    while inbox.take() is not None:
        pass
    after = memory_bytes()["own"]
    assert full - before > 35e6
    assert after - before < 6e6
    assert len(kept) == 150


@pytest.mark.parametrize("end", [Inbox.close, lambda inbox: (inbox.take(), inbox.take())])
def test_nobody_who_pushes_waits_while_memory_is_given_back(end, monkeypatch):
    inbox, release, held = Inbox(), _native.release_free_memory, []

    def watched():
        with ThreadPoolExecutor(1) as other:
            free = other.submit(lambda: inbox.arrived.acquire(blocking=False) and not inbox.arrived.release())
            held.append(not free.result())
        release()

    monkeypatch.setattr(_native, "release_free_memory", watched)
    inbox.put_events(tuple(np.zeros(300_000, dtype) for dtype in (np.int64, np.uint16, np.uint16, np.uint8)), 0)
    end(inbox)
    assert held == [False]
