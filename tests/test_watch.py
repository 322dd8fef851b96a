"""Recordings are read as a live stream reads them: what is damaged is passed over and counted, the rest answered."""

import json
import re
from itertools import chain

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import canthus
from canthus import Events, Frame, LiveStream
from canthus.cli import main
from canthus.sources.aedat4_header import end_of_whole_packets, table_position
from canthus.sources.faulty import FAULTS, FaultySource
from canthus.sources.in_order import in_order
from canthus.sources.watch import Watching
from test_stream import FRAME_US, SENSOR, StandInEngine, fields, make_recording
from virtual_live import Source

CLEAN = [Source(1.4, images=True), Source(1.4, start_us=0, seed=1)]


class Packets:
    """A recording of what is given."""

    sensor, view = SENSOR, canthus.View()
    is_live = False

    def __init__(self, packets):
        self.packets = packets

    def __iter__(self):
        return iter(self.packets)


def read(packets):
    watching = Watching(StandInEngine(), Packets(packets))
    return list(watching), watching.health


def books(health):
    return health.frames, health.packets, health.events


def seen(expressions):
    """All but how long it took, and whether a frame's events were all there, which a recording alone can know."""
    return [
        (e.time_us, e.label, e.probabilities.tolist(), e.experts, [name for name in e.missing if name != "events"])
        for e in expressions
    ]


@settings(max_examples=30, deadline=None)
@given(st.sets(st.sampled_from(sorted(FAULTS)), max_size=4), st.integers(0, 1000), st.sampled_from(CLEAN))
def test_a_live_stream_and_a_recording_agree_on_any_damage(kinds, seed, clean):
    packets = list(FaultySource(clean, kinds, seed, until_us=600_000))
    answers, health = read(packets)
    live_answers = []
    with LiveStream(
        StandInEngine(), SENSOR, on_expression=live_answers.append, deadline_us=60_000_000, wait_us=0
    ) as live:
        for packet in packets:
            live.push(packet)
            assert live.drain(30)
        live_health = live.health
    assert seen(answers) == seen(live_answers)
    assert books(health) == books(live_health) and all(book.balanced for book in books(health))
    assert (health.clocks_set, health.black_frames) == (live_health.clocks_set, live_health.black_frames)
    assert answers, "clean data at the end are answered"


def test_a_clean_recording_is_read_as_the_strict_stream_reads_it():
    events, frames = make_recording()
    stream, expected, packets, begin = canthus.Stream(StandInEngine(), SENSOR), [], [], 0
    for t, image in frames:
        end = int(np.searchsorted(events[0], t, "right"))
        packets += [Events(*(array[begin:end] for array in events)), Frame(image, t)]
        stream.push_events(*packets[-2])
        expected.append(stream.push_frame(image, t))
        begin = end
    answers, health = read(packets)
    assert [fields(e) for e in answers] == [fields(e) for e in expected if e]
    assert health.frames.ended == {"warming up": 12, "answered": len(answers)} and set(health.events.ended) == {"taken"}
    assert not health.stalls and not health.stalled


def test_a_lull_without_events_is_no_lack_of_them():
    """A frame of a recording waits for no events to know that it has all of them."""
    source = Source(1.4)
    lull = [p for p in source.packets if not isinstance(p, Events) or not 10**15 + 9e5 < p.t[0] < 10**15 + 9.2e5]
    answers, health = read(lull)
    assert len(answers) == health.frames.came - 12 and all(answer.missing == () for answer in answers)


def test_a_packet_of_millions_is_taken_whole():
    source = Source(1.4)
    t = np.sort(np.random.default_rng(0).integers(10**15 + 1, 10**15 + 10**6, 4_500_000))
    x = np.zeros(len(t), np.int16)
    answers, health = read([Events(t, x, x, x == 0), *(p for p in source.packets if not isinstance(p, Events))])
    assert health.events.came == len(t) and set(health.events.ended) == {"taken"} and answers


@pytest.mark.parametrize(
    "spacing_us, says",
    [
        (1_000_000, r"the frames are 1 s apart, .* give at least 5 frames a second"),
        (1_000_300, r"the frames are 1 s apart"),
        (33_333_333, r"times are 33,333,333 apart, which looks like nanoseconds"),
        (33, r"times are 33 apart, which looks like milliseconds"),
        (FRAME_US, r"8 frames came: 8 warming up"),
    ],
)
def test_why_there_are_no_answers(spacing_us, says, caplog):
    image = np.full(SENSOR[::-1], 7, np.uint8)
    count = 8 if spacing_us == FRAME_US else 120
    frames = [Frame(image, i * spacing_us) for i in range(count)]
    watching = Watching(StandInEngine(), Packets(frames))
    assert list(watching) == []
    assert re.search(says, watching.why_no_answers)
    assert ("no answers: " in caplog.text) == (spacing_us != FRAME_US)


def test_no_frames_at_all():
    watching = Watching(StandInEngine(), Packets([]))
    assert list(watching) == [] and watching.why_no_answers == "no frames came"


def test_a_live_stream_tells_of_times_in_milliseconds(caplog):
    with LiveStream(StandInEngine(), SENSOR) as live:
        for i in range(110):
            live.push_frame(np.full(SENSOR[::-1], i, np.uint8), 33 * i)
            assert live.drain(30)
        assert "looks like milliseconds" in live.why_no_answers
    assert caplog.text.count("looks like milliseconds") == 1


def merged(events, frames):
    """As (kind, times) in the order in which they come."""
    packets = in_order(
        iter([Events(np.array(t), *(np.zeros(len(t), int),) * 3) for t in events]),
        iter([Frame(np.zeros((1, 1), np.uint8), t) for t in frames]),
    )
    return [packet.t.tolist() if isinstance(packet, Events) else packet.time_us for packet in packets]


def clock(*parts):
    """Packets of events every 10 ms, and frames every 30 ms, from begin to end in ms."""
    events = [[1000 * t, 1000 * t + 9000] for begin, end in parts for t in range(begin, end, 10)]
    frames = [1000 * t for begin, end in parts for t in range(begin + 25, end, 30)]
    return events, frames


def before(order, i):
    """The events just before the frame at a place."""
    return [times for times in order[:i] if isinstance(times, list)][-1]


@pytest.mark.parametrize(
    "parts",
    [
        [(0, 3000)],
        [(5000, 8000), (0, 3000)],
        [(5000, 6000), (4700, 5500)],
        [(0, 1000), (7_200_000, 7_201_000)],
        [(0, 1000), (4000, 6000)],
        [(9000, 9900), (5000, 5900), (100, 900)],
    ],
    ids=["clean", "set back", "set back a little", "set ahead", "a pause", "set back twice"],
)
def test_every_frame_comes_after_its_events_whatever_the_clock_does(parts):
    events, frames = clock(*parts)
    order = merged(events, frames)
    assert [t for t in order if isinstance(t, int)] == frames
    assert list(chain(*(t for t in order if isinstance(t, list)))) == list(chain(*events))
    for i, t in enumerate(order):
        if isinstance(t, int):
            assert 0 <= t - before(order, i)[-1] <= 9000


def events_before(order):
    """By each frame, how many events came before it."""
    counts, count = {}, 0
    for t in order:
        if isinstance(t, list):
            count += len(t)
        else:
            counts[t] = count
    return counts


@pytest.mark.parametrize("wild", [0, 10**9, 10**15])
def test_one_wild_time_moves_nothing_else(wild):
    events, frames = clock((5_000_000, 5_003_000))
    clean = events_before(merged(events, frames))
    of_a_frame = events_before(merged(events, [*frames[:40], wild, *frames[41:]]))
    assert {t: n for t, n in of_a_frame.items() if t != wild} == {t: n for t, n in clean.items() if t != frames[40]}
    assert abs(of_a_frame[wild] - clean[frames[40]]) <= 6
    of_events = events_before(merged([*events[:50], [wild, wild], *events[51:]], frames))
    assert all(abs(of_events[t] - n) <= 1 for t, n in clean.items())


@pytest.fixture
def written(tmp_path):
    """A recording as dv-processing writes it, of the damage that a test says."""
    dv = pytest.importorskip("dv_processing")

    def write(damage, name="damaged.aedat4"):
        path = tmp_path / name
        config = dv.io.MonoCameraWriter.Config("DAVIS346")
        config.addEventStream(SENSOR)
        config.addFrameStream(SENSOR)
        writer = dv.io.MonoCameraWriter(str(path), config)
        for packet in damage(Source(1.6).packets):
            if isinstance(packet, Events):
                store = dv.EventStore()
                for t, x, y, p in zip(*(array.tolist() for array in packet), strict=True):
                    store.push_back(t, x, y, bool(p))
                writer.writeEvents(store)
            else:
                writer.writeFrame(dv.Frame(packet.time_us, packet.image))
        return path

    return write


def doubled(packets):
    return [p for packet in packets for p in ([packet] if isinstance(packet, Events) else [packet, packet])]


def one_outside(packets):
    first = next(i for i, packet in enumerate(packets) if isinstance(packet, Events))
    packet = packets[first + 30]
    x = packet.x.copy()
    x[5] = SENSOR[0] + 300
    return [*packets[: first + 30], packet._replace(x=x), *packets[first + 31 :]]


@pytest.mark.parametrize(
    "damage, answers, told",
    [
        (doubled, 36, "96 frames came: "),
        (one_outside, 36, "1 invalid"),
    ],
)
def test_run_goes_on_and_says_what_it_passed_over(small_bundle, written, damage, answers, told, capsys):
    path = written(damage)
    assert main(["run", str(small_bundle), str(path), "--json", "--backend", "onnxruntime"]) == 0
    out, error = capsys.readouterr()
    assert abs(len(out.splitlines()) - answers) <= 1 and told in error
    assert all(json.loads(line)["missing"] in ([], ["events"]) for line in out.splitlines()[4:])


def test_run_goes_on_where_the_clock_was_set_back(small_bundle, written, capsys):
    """dv-processing writes no such file; what a recorder wrote that doesn't ask is made of two."""
    late = written(lambda packets: packets, "late.aedat4")
    early = written(
        lambda packets: [
            p._replace(t=p.t - 10**15) if isinstance(p, Events) else p._replace(time_us=p.time_us - 10**15)
            for p in packets
        ],
        "early.aedat4",
    )
    with late.open("r+b") as file:
        file.truncate(end_of_whole_packets(file))
        table = table_position(file, late)
        file.seek(table)
        file.write((-1).to_bytes(8, "little", signed=True))
        file.seek(0, 2)
        second = early.read_bytes()
        file.write(second[18 + int.from_bytes(second[14:18], "little") :])
    assert main(["run", str(small_bundle), str(late), "--json", "--backend", "onnxruntime"]) == 2
    out, error = capsys.readouterr()
    times = [json.loads(line)["time_us"] for line in out.splitlines()]
    assert sum(t >= 10**15 for t in times) == 36 and sum(t < 10**15 for t in times) >= 34
    assert "the recording breaks off at" in error  # as it has no table, which a whole one has


def test_run_without_an_answer_is_an_error(small_bundle, written, capsys):
    """A second of frames whose times are in milliseconds."""
    path = written(
        lambda packets: [p if isinstance(p, Events) else p._replace(time_us=p.time_us // 1000) for p in packets]
    )
    assert main(["run", str(small_bundle), str(path), "--backend", "onnxruntime"]) == 2
    error = capsys.readouterr().err
    assert f"{path}: no expressions: the frames' times are 33 apart, which looks like milliseconds" in error
