"""Faults put in on purpose: that they are what they say, and that the live stream takes them, alone and in pairs."""

import resource
import threading
from collections import Counter
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from canthus import Events, Frame, Images, LiveStream, SourceError, Stream
from canthus.live.feed import feed
from canthus.sources.faulty import FAULTS, FaultySource, true_arrivals
from test_stream import SENSOR, StandInEngine
from virtual_live import Source, VirtualLive, assert_all_is_accounted_for, play

SOURCE = Source(seconds=1.5, images=True)
UNTIL_US = 800_000
CLOCKS = ("jump forward", "jump back", "jump back 99 ms", "clock reset")
ALONE_AND_IN_PAIRS = [*((name,) for name in FAULTS), *combinations(FAULTS, 2)]


def same(one, other):
    """To the last bit and type, also where there are NaNs and other nonsense."""
    return all(
        type(a) is type(b) and (repr(a) == repr(b) if not isinstance(a, np.ndarray) else a.tobytes() == b.tobytes())
        for a, b in zip(one, other, strict=True)
    )


def damage(name, seed=0):
    """What the fault made of the source, and what that was, both from the first damage to the last."""
    faulty = FaultySource(SOURCE, [name], seed, until_us=UNTIL_US)
    arrivals, clean = list(faulty.arrivals()), list(true_arrivals(SOURCE))
    pairs = zip(arrivals, clean, strict=False)
    begin_us = next(b.at_us for a, b in pairs if not same(a.packet, b.packet))
    return [[p for at_us, p in all_ if begin_us <= at_us <= faulty.clean_from_us] for all_ in (arrivals, clean)]


def events_of(packets):
    return [np.concatenate(field) for field in zip(*(p for p in packets if isinstance(p, Events)), strict=True)]


def frames_of(packets):
    return [packet for packet in packets if not isinstance(packet, Events)]


def shifts(name, seed):
    """By how much each packet's clock is off."""
    pairs = zip(FaultySource(SOURCE, [name], seed, until_us=UNTIL_US), SOURCE, strict=True)
    return [int(a.t[0] - b.t[0]) if isinstance(a, Events) else a.time_us - b.time_us for a, b in pairs]


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_those_of_the_seed_and_leave_the_source_as_it_is(name):
    source = Source(seconds=1.0)
    untouched = [type(packet)(*map(np.array, packet)) for packet in source.packets]
    first, again, other = (list(FaultySource(source, [name], seed)) for seed in (1, 1, 2))
    assert len(first) == len(again) and all(map(same, first, again))
    assert len(first) != len(other) or not all(map(same, first, other))
    for packet, before in zip(source.packets, untouched, strict=True):
        assert all(map(np.array_equal, packet, before))


@pytest.mark.parametrize("name", FAULTS)
def test_after_the_last_damage_all_is_as_in_the_source(name):
    clean = list(true_arrivals(SOURCE))
    for seed in range(5):
        source = FaultySource(SOURCE, [name], seed, until_us=UNTIL_US)
        arrivals = list(source.arrivals())
        assert [at_us for at_us, _ in arrivals] == sorted(at_us for at_us, _ in arrivals)
        end_us = clean[0].at_us if source.clean_from_us is None else source.clean_from_us
        after, expected = ([p for at_us, p in all_ if at_us > end_us] for all_ in (arrivals, clean))
        shift = frames_of(after)[-1].time_us - frames_of(expected)[-1].time_us
        assert shift == 0 or name in CLOCKS
        for packet, other in zip(after, expected, strict=True):
            time = "t" if isinstance(other, Events) else "time_us"
            assert same(packet, other._replace(**{time: getattr(other, time) + shift}))


def test_without_faults_it_is_the_source():
    with FaultySource(SOURCE, []) as source:
        assert all(a is b for a, b in zip(source, SOURCE.packets, strict=True))
        assert source.sensor == SENSOR and not source.is_live and source.clean_from_us is None
    assert list(FaultySource(Source(seconds=0), FAULTS)) == []


def test_an_unknown_fault_is_named_with_those_there_are():
    with pytest.raises(SourceError, match="'earthquake'; there are: event storm, hot pixels"):
        FaultySource(SOURCE, ["drops", "earthquake"])


def test_a_storm_is_of_twenty_million_events_a_second_everywhere():
    t, x, y, p = events_of(damage("event storm")[0])
    assert (np.diff(t) >= 0).all()
    assert len(t) / (t[-1] + 1 - t[0]) == pytest.approx(20)
    assert (x.min(), x.max(), y.min(), y.max()) == (0, SENSOR[0] - 1, 0, SENSOR[1] - 1) and set(p) == {0, 1}


def test_hot_pixels_come_on_top_of_the_events():
    got, given = (events_of(packets) for packets in damage("hot pixels"))
    assert (np.diff(got[0]) >= 0).all() and [a.dtype for a in got] == [a.dtype for a in given]
    events, given_events = (Counter(zip(*map(np.ndarray.tolist, arrays), strict=True)) for arrays in (got, given))
    assert events >= given_events
    more = events - given_events
    pixels = {(x, y) for _, x, y, _ in more}
    assert 1 <= len(pixels) <= 20
    assert more.total() / len(pixels) == pytest.approx((given[0][-1] - given[0][0]) / 100, rel=0.1)


def test_flicker_is_bursts_at_a_hundred_hertz_and_frames_of_other_brightness():
    got, given = damage("flicker")
    t, _, _, p = events_of(got)
    bursts = [t_ for t_, count in zip(*np.unique(t, return_counts=True), strict=True) if count > 100]
    assert len(bursts) > 3 and set(np.diff(bursts)) == {5000}
    assert [round(p[t == burst].mean()) for burst in bursts] == [burst // 5000 % 2 for burst in bursts]
    gains = [a[0].mean() / b[0].mean() for a, b in zip(frames_of(got), frames_of(given), strict=True)]
    assert len(gains) > 1 and all(0.2 < gain < 1.8 for gain in gains) and np.std(gains) > 0.05


@pytest.mark.parametrize("name, seed", [("frozen frames", 0), ("black frames", 0)])
def test_frames_freeze_and_turn_black_while_their_times_go_on(name, seed):
    got, given = map(frames_of, damage(name, seed))
    assert len(got) > 2 and [f.time_us for f in got] == [f.time_us for f in given]
    before = [f for f in frames_of(SOURCE) if f.time_us < given[0].time_us][-1]
    expected = before[0] if name == "frozen frames" else np.zeros_like(before[0])
    assert all((frame[0] == expected).all() for frame in got)


def test_clocks_jump_by_all_sizes_for_a_while_and_for_good():
    for name, sign in (("jump forward", 1), ("jump back", -1)):
        runs = [shifts(name, seed) for seed in range(20)]
        sizes = [sign * max(run, key=abs) for run in runs]
        assert 1000 <= min(sizes) < 100_000 and max(sizes) > 60_000_000
        assert 4 < sum(run[-1] == 0 for run in runs) < 16
    assert {shift for seed in range(9) for shift in shifts("jump back 99 ms", seed)} >= {0, -99_000}
    reset = FaultySource(SOURCE, ["clock reset"], 0, until_us=UNTIL_US)
    times = [int(p.t[0]) if isinstance(p, Events) else p.time_us for p in reset]
    first = next(i for i, t in enumerate(times) if t < 10**9)
    assert times[first] == 0 and times[first - 1] >= 10**15 and max(times[first:]) < 1_500_000


def test_on_the_way_packets_are_lost_come_twice_or_in_another_order():
    lost = [damage("drops", seed) for seed in range(8)]
    for kind in (Events, Frame):
        ratios = [sum(isinstance(p, kind) for p in got) / sum(isinstance(p, kind) for p in all_) for got, all_ in lost]
        assert min(ratios) < 0.2 and max(ratios) > 0.5
    got, given = damage("duplicates")
    assert len(got) > 1.5 * len(given) and {id(packet) for packet in got} == {id(packet) for packet in given}
    frames_moved = 0
    for seed in range(5):
        got = list(FaultySource(SOURCE, ["reordering"], seed))
        times = [frame.time_us for frame in frames_of(got)]
        assert sorted(times) == [frame.time_us for frame in frames_of(SOURCE)]
        frames_moved += times != sorted(times)
        rows = [sorted(zip(*map(np.ndarray.tolist, events_of(p)), strict=True)) for p in (got, SOURCE)]
        assert rows[0] == rows[1]
        assert any((np.diff(p.t) < 0).any() for p in got if isinstance(p, Events))
    assert frames_moved


def push_camera(live, host_us, sensor_us, seconds):
    """A camera without faults, whose clock shows `sensor_us` at `host_us` of the host's; when it ended."""
    end_us = host_us + int(seconds * 1e6)
    for us in range(host_us, end_us, 11_111):
        t = sensor_us + us - host_us + np.arange(-10_000, 1, 1000)
        x = np.arange(len(t), dtype=np.int16)
        live.push(Events(t, x, x, x % 2 == 1), us)
        if (us - host_us) % 33_333 == 0:
            image = np.full(SENSOR[::-1], 1 + us % 255, np.uint8)
            live.push(Frame(image, sensor_us + us - host_us), us)
    return end_us


def test_what_is_no_array_is_malformed():
    live = VirtualLive()
    for nothing in (np.array(7), None, 7, "tttt", ["a", "b"], [[1], [1, 2]], [2**70, 0.5j], [object()]):
        live.push(Events(nothing, nothing, nothing, nothing), 10**6)
        live.push(Events(np.arange(3), nothing, np.arange(3), np.ones(3, bool)), 10**6)
    live.finish()
    assert live.inbox.packets.ledger().ended == {"malformed": 16}
    assert_all_is_accounted_for(live)


def test_an_event_image_without_a_frame_is_malformed():
    live = VirtualLive()
    live.push(Images(None, np.ones(SENSOR[::-1], np.uint8), 5), 10**6)
    live.finish()
    assert live.inbox.frames.ledger().ended == {"malformed": 1}


@pytest.mark.parametrize("separate_clocks", [False, True])
@pytest.mark.parametrize("t", [-(2**63), 2**63 - 1, -(2**62), 2**62])
def test_times_that_no_clock_shows_do_no_harm(t, separate_clocks):
    live = VirtualLive(separate_clocks=separate_clocks)
    one = np.ones(3, np.int16)
    for us in (10**6, 10**6 + 5, 10**6 + 9):
        live.push(Events(np.full(3, t), one, one, one == 1), us)
        live.push(Frame(np.ones(SENSOR[::-1], np.uint8), t), us)
    clean_us = live.now_ns // 1000
    push_camera(live, clean_us, 0, 1.0)
    live.finish()
    assert_all_is_accounted_for(live)
    assert live.answers[0].delivered_us - clean_us < 500_000 and live.answers[-1].missing == ()


def test_events_that_come_seconds_before_the_frames_of_another_clock_set_no_clock():
    live = VirtualLive(now_us=0, separate_clocks=True)
    one = np.ones(1, np.int16)
    for us in range(10**6, 4 * 10**6, 10_000):
        live.push(Events(np.array([us]), one, one, one == 1), us)
    push_camera(live, 4 * 10**6, 4 * 10**6, 1.0)
    live.finish()
    assert live.answering.health().clocks_set == 0
    assert live.answers[-1].missing == ()


def test_one_damaged_time_doesnt_move_the_offset_between_two_clocks():
    live = VirtualLive(separate_clocks=True)
    end_us = push_camera(live, 10**12, 10**9, 2.5)
    one = np.ones(1, np.int16)
    live.push(Events(np.array([10**9 + 2_500_000 + 700_000]), one, one, one == 1), end_us)
    push_camera(live, end_us, 10**9 + 2_500_000, 1.0)
    live.finish()
    assert live.answering.health().clock_offset_us == 0
    assert live.answers[-1].missing == ()


@pytest.mark.parametrize("back_us", [99_000, 199_000, 201_000, 450_000, 700_000, 999_000, 1_001_000])
@pytest.mark.parametrize("before", [0.05, 0.2, 0.7, 3.0])
@pytest.mark.parametrize("separate_clocks", [False, True])
def test_a_clock_set_back_costs_half_a_second_at_most(separate_clocks, back_us, before):
    live = VirtualLive(separate_clocks=separate_clocks)
    set_us = push_camera(live, 10**12, 10**9, before)
    push_camera(live, set_us, 10**9 + int(before * 1e6) - back_us, 1.1)
    live.finish()
    assert_all_is_accounted_for(live)
    after = [answer for answer in live.answers if answer.delivered_us > set_us]
    assert after[0].delivered_us - set_us < 500_000 and after[-1].missing == ()


def resident_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc, as Linux has")
def test_the_memory_of_a_storm_is_bounded_and_given_back():
    stream, at = Stream(StandInEngine(), SENSOR), np.zeros(200_000, np.int16)
    steps = np.arange(200_000) // 20

    def take(per_packet, packets, begin_us):
        for i in range(packets):
            t = begin_us + 10_000 * i + steps[:: 200_000 // per_packet]
            stream.insert_events(t, at[:per_packet], at[:per_packet], at[:per_packet] == 0, 0, 10**9)
        return resident_mb()

    calm = take(10_000, 200, 0)
    storm = take(200_000, 100, 2_000_000)
    longer = take(200_000, 100, 3_000_000)
    after = take(10_000, 800, 4_000_000)
    assert storm - calm < 150 and longer - storm < 10
    assert after - calm < 20


@pytest.mark.parametrize("kinds", ALONE_AND_IN_PAIRS, ids=", ".join)
def test_the_stream_takes(kinds):
    for seed in range(1 if "event storm" in kinds else 2):
        play(kinds, seed)


def test_the_stream_takes_whatever_is_pushed():
    with LiveStream(StandInEngine(), SENSOR) as live:
        pushed = 0
        for seed in range(10):
            for packet in FaultySource(SOURCE, ["truncated packets", "duplicates"], seed):
                live.push(packet)
                pushed += not isinstance(packet, Events)
        assert live.drain(30)
        health = live.health
        assert health.frames.came == pushed and health.frames.balanced and health.packets.balanced
        assert health.frames.ended["malformed"] > 5 and health.packets.ended["malformed"] > 20


def test_the_threaded_stream_takes_all_of_it_at_once():
    answers = []
    source = FaultySource(Source(seconds=1.8), set(FAULTS) - {"event storm"}, 3, until_us=700_000)
    with LiveStream(StandInEngine(), SENSOR, on_expression=answers.append, deadline_us=60_000_000) as live:
        feed(source, live, threading.Event())
        assert live.drain(30)
        health = live.health
    assert health.frames.balanced and health.packets.balanced and health.events.balanced
    assert health.frames.ended["answered"] == len(answers)
    assert answers[-1].time_us > frames_of(list(source))[-4].time_us
