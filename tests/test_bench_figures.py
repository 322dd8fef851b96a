"""What `canthus bench` makes of its readings, without a run: percentiles, misses, baselines, checks."""

import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

from canthus import BenchError, Expression, Stream
from canthus.bench.baseline import check_alike, compare, read_baseline
from canthus.bench.checks import checks
from canthus.bench.content import PACKET_US, START_US, made_up
from canthus.bench.histogram import Histogram, needed
from canthus.bench.plots import Axis
from canthus.bench.reference import Reference
from canthus.bench.report import page
from canthus.bench.result import Check, Result, Stage, latency_figures
from canthus.bench.settings import Settings, parse_duration, parse_percent
from canthus.bench.summary import summary
from canthus.bench.tally import Slice, Tally
from canthus.bench.watch import Course, growth
from canthus.device import readings as device_readings
from canthus.events import Events
from canthus.live.health import Health
from canthus.live.ledger import Ledger
from test_stream import StandInEngine

MS = 1_000_000  # nanoseconds
SECOND = 1000 * MS


# Percentiles


def filled(values):
    histogram = Histogram()
    for value in values:
        histogram.add(int(value))
    return histogram


@pytest.mark.parametrize("scale", [40, 3_000, 2_000_000, 10**10])
def test_percentiles_are_numpys_to_a_hundredth(scale):
    values = np.random.default_rng(0).lognormal(sigma=1.5, size=30_000) * scale
    histogram = filled(values)
    for percent in (0.1, 50, 90, 99, 99.9):
        exact = np.percentile(values.astype(np.int64), percent, method="inverted_cdf")
        assert histogram.percentile(percent) == pytest.approx(exact, rel=0.01, abs=0.5), percent
    assert histogram.deviation == pytest.approx(np.std(values.astype(np.int64)), rel=1e-9)
    assert (histogram.smallest, histogram.largest) == (int(values.min()), int(values.max()))


def test_every_duration_is_in_its_bucket():
    values = [*range(2000), 10**6, 10**9 + 7, 2**40]
    for value in values:
        ((low, high, count),) = filled([value]).buckets()
        assert low <= value < high and count == 1
        assert high - low <= max(1, value / 100)
    assert filled([2**60, -5]).count == 2  # what can't be is kept, too


def test_a_percentile_needs_ten_durations_beyond_it():
    assert [needed(p) for p in (50, 90, 99, 99.9)] == [20, 100, 1000, 10_000]
    assert filled(range(999)).percentile(99) is None
    assert filled(range(1000)).percentile(99) == pytest.approx(989, rel=0.01)
    assert filled([]).quantile(0.5) is None and filled([]).deviation is None


def test_histograms_add_up_and_begin_anew():
    parts = [np.random.default_rng(seed).integers(0, 10**6, 500) for seed in range(3)]
    together = Histogram()
    for part in [[], *parts]:
        together.include(filled(part))
    whole = filled(np.concatenate(parts))
    assert list(together.buckets()) == list(whole.buckets()) and together.deviation == whole.deviation
    together.clear()
    assert together.count == 0 and not list(together.buckets()) and together.quantile(0.5) is None


# What became of frames


def expression(time_us, missing=(), probabilities=(1.0,)):
    return Expression("fear", np.array(probabilities, np.float32), ("fear",), time_us, 700, (0,), missing)


def tally_of(answered, frames=100):
    """A frame each 10 ms; `answered` maps the ones that get answers to when those come, in ms from the start."""
    tally = Tally(0, frames * 10 * MS, 100_000, None)
    times = [(10 * i, 0, i) for i in range(frames)] + [(ms, 1, i) for i, ms in answered.items()]
    for ms, is_answer, i in sorted(times):
        if is_answer:
            costs = {"accumulate": 100, "resize": 200, "react": 300, "prime": 900}
            tally.answer(expression(i), costs, round(ms * MS))
        else:
            tally.push(i, 10 * i * MS)
    return tally


def test_latency_counts_from_when_a_frame_was_due():
    tally = tally_of({i: 10 * i + 2 for i in range(100)})
    assert latency_figures(tally.latencies)["latency_p50_us"] == pytest.approx(2000, rel=0.01)
    assert (tally.frames, tally.unanswered, tally.late) == (100, 0, 0)
    medians = {name: stage.quantile(0.5) for name, stage in tally.stages.items()}
    assert medians == {
        "pushed late": pytest.approx(1300, rel=0.01),  # 2000 less the 700 that the stream says
        "waiting": 100,  # 700 less its stages
        "accumulate": 100,
        "resize": 200,
        "react": pytest.approx(300, rel=0.01),
        "prime": pytest.approx(900, rel=0.01),
    }


def test_frames_that_waited_behind_a_slow_answer_count_though_they_got_none():
    # The answer to frame 10 took 300 ms and is dropped; frames 11 to 39 are superseded, and 40 is answered at 402.
    answered = {i: 10 * i + 2 for i in range(100) if not 10 <= i < 40}
    tally = tally_of(answered)
    assert tally.unanswered == 30
    assert tally.latencies.largest == 302_000
    # A tenth of all frames waited longer than 200 ms. Of the answered frames alone every one took 2 ms.
    assert tally.latencies.percentile(90) == pytest.approx(202_000, rel=0.01)
    assert tally.tenths[2].quantile(0.5) == pytest.approx(152_000, rel=0.05)


def test_an_answer_past_the_deadline_is_a_miss():
    tally = tally_of({**{i: 10 * i + 2 for i in range(99)}, 99: 990 + 101})
    assert (tally.unanswered, tally.late) == (0, 1)


def test_frames_without_any_answer_wait_until_the_end():
    tally = tally_of({})
    tally.close(2000 * MS)
    assert (tally.frames, tally.unanswered) == (100, 100)
    assert tally.latencies.largest == 2_000_000 and tally.latencies.smallest == 1_010_000
    assert [part.begin_s for part in tally.slices] == [i / 100 for i in range(100)]


def test_only_the_time_after_warming_up_is_measured():
    tally = Tally(500 * MS, 1000 * MS, 100_000, None)
    for i in range(120):
        tally.push(i, 10 * i * MS)
        tally.answer(expression(i), {}, (10 * i + 2) * MS)
    assert tally.frames == 50 and tally.answers == tally.pushed_frames == 120


def test_the_same_frame_twice_and_a_clock_that_is_set_back():
    tally = Tally(0, SECOND, 100_000, None)
    for n, time_us in enumerate([100, 200, 200, 5, None, 6]):
        tally.push(time_us, 10 * n * MS)
    for time_us, ms in ((200, 60), (6, 90), (6, 95)):
        tally.answer(expression(time_us), {}, ms * MS)
    assert (tally.frames, tally.unanswered) == (6, 4)
    assert tally.latencies.largest == 60_000  # both frames of 200 ended with the first answer


def test_answers_are_compared_but_for_those_whose_first_moment_was_left_out():
    loop = made_up(Settings(frames_per_second=10, events_per_second=1000))
    engine = StandInEngine()
    reference = Reference(engine, loop)
    stream = Stream(StandInEngine(), loop.sensor)
    answers = {}
    for at_us, packet in loop.arrivals():  # events of the very time of a frame come before it
        if at_us > START_US + 4_000_000:
            break
        if isinstance(packet, Events):
            stream.push_events(*packet)
        else:
            answers[at_us - START_US] = stream.push_frame(*packet)
    wrong = replace(answers[2_200_000], probabilities=answers[2_200_000].probabilities * np.float32(1 + 1e-6))
    expected = {
        900_000: None,  # not yet as in every lap
        **{t: True for t in range(1_100_000, 2_100_000, 100_000)},
        2_400_000: None,  # its first moment is at 2.0 s
        2_500_000: True,
        2_600_000: None,  # incomplete
        2_900_000: True,
        3_000_000: None,  # its first moment is incomplete
        3_100_000: True,
    }
    answers[2_600_000] = replace(answers[2_600_000], missing=("events",))
    assert {t: reference.agrees(answers[t]) for t in range(900_000, 2_000_001, 100_000)} == {
        t: agrees for t, agrees in expected.items() if t <= 2_000_000
    } | {1_000_000: None}
    assert reference.agrees(wrong) is False
    reference.left_out(START_US + 2_000_000)
    later = [t for t in expected if t > 2_000_000]
    assert {t: reference.agrees(answers[t]) for t in later} == {t: expected[t] for t in later}


# Content


def test_made_up_content_is_the_same_each_time_and_never_ends():
    settings = Settings(frames_per_second=30, events_per_second=20_000)
    loop, again = made_up(settings), made_up(settings)
    assert (loop.frames_per_second, loop.events_per_second, loop.period_us) == (30, 20_000, 10**6)
    events, frames, newest = 0, [], START_US
    for (at_us, packet), (_, same) in zip(loop.arrivals(), again.arrivals(), strict=True):
        if at_us > START_US + 3 * loop.period_us:
            break
        np.testing.assert_array_equal(packet[0], same[0])
        assert at_us >= newest
        newest = at_us
        if isinstance(packet, Events):
            events += len(packet.t)
            assert packet.t[-1] == at_us and packet.t[-1] - packet.t[0] < PACKET_US and (np.diff(packet.t) >= 0).all()
        else:
            frames.append(packet.time_us - START_US)
            assert at_us == packet.time_us
    assert events == 60_000
    assert frames == [round(i * 1e6 / 30) for i in range(1, 91)]
    assert [loop.position(START_US + t) for t in (1, 10**6, 10**6 + 1, 2_033_333)] == [
        (0, 1),
        (0, 10**6),
        (1, 1),
        (2, 33_333),
    ]


# Settings


def test_durations_and_percentages():
    assert [parse_duration(t) for t in ("50ms", "90s", "10m", "1h", "2.5", "1.5 h")] == [0.05, 90, 600, 3600, 2.5, 5400]
    assert [parse_percent(t) for t in ("10%", "10", "2.5 %")] == [0.1, 0.1, 0.025]


@pytest.mark.parametrize("text", ["", "h", "1d", "-1s", "1e3", "10 %%", "nan"])
def test_what_is_no_duration_or_percentage(text):
    with pytest.raises(BenchError, match="1h"):
        parse_duration(text)
    with pytest.raises(BenchError, match="10%"):
        parse_percent(text)


@pytest.mark.parametrize(
    "message, settings",
    [
        ("frames per second", {"frames_per_second": 0}),
        ("frames per second", {"frames_per_second": math.nan}),
        ("events per second", {"events_per_second": 1e9}),
        ("seconds to measure", {"seconds": 0}),
        ("speed", {"speed": 0}),
        ("deadline", {"deadline_us": 0}),
        ("flat out", {"flat_out": True, "speed": 2}),
        ("soak", {"soak": True, "seconds": 90}),
        ("soak", {"soak": True, "seconds": 600, "faults": ("drops",)}),
    ],
)
def test_a_load_that_makes_no_sense(message, settings):
    with pytest.raises(BenchError, match=message):
        Settings(**settings)


# Checks


def health_of(tally, waiting=0, answered=None):
    answered = tally.answers if answered is None else answered
    none = tally.pushed_frames - answered - waiting
    frames = Ledger(tally.pushed_frames, waiting, {"answered": answered, "superseded": none})
    empty = Ledger(0, 0, {})
    return Health(frames, empty, empty, 0, 0, 0, False, 0, 0, {}, 0, None, 0, None)


def failed(tally, health=None, growth=None, soak=False):
    settings = Settings(soak=soak, seconds=600)
    return [check.name for check in checks(settings, tally, health or health_of(tally), growth) if not check.passed]


def test_books_that_dont_add_up_fail():
    tally = tally_of({i: 10 * i + 2 for i in range(90)})
    assert failed(tally) == []
    assert failed(tally, health_of(tally, waiting=1)) == ["books balance"]
    assert failed(tally, health_of(tally, answered=91)) == ["books balance"]
    tally.different = 1
    assert failed(tally) == ["same answers"]
    assert failed(tally_of({})) == ["answered"]


def test_a_soak_fails_where_memory_grows_or_latency_drifts():
    steady = tally_of({i: 10 * i + 2 for i in range(100)})
    assert failed(steady, growth=900_000.0, soak=True) == []
    assert failed(steady, growth=1_100_000.0, soak=True) == ["memory is flat"]
    assert failed(steady, growth=None, soak=True) == ["memory is flat"]
    assert failed(steady, growth=1_100_000.0) == []
    slower = tally_of({i: 10 * i + 2 + i / 100 for i in range(100)})
    assert failed(slower, growth=0.0, soak=True) == ["no drift"]


def test_growth_is_from_the_end_of_the_first_minute_to_the_end():
    seconds = np.arange(300.0)
    memory = np.where(seconds < 60, 1e6 * seconds, 60e6 + 1000 * (seconds - 60))
    memory[[65, 295]] += 50e6  # a buffer caught in the act
    assert growth(seconds, memory) == pytest.approx(230_000, abs=2000)
    assert growth(seconds[:79], memory[:79]) is None
    assert growth(seconds, np.full(300, np.nan)) is None


def test_readings_as_a_jetson_gives_them(tmp_path, monkeypatch):
    files = {
        "class/thermal/thermal_zone0/temp": "41500",
        "class/thermal/thermal_zone1/temp": "47250",
        "devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "1510400",
        "devices/system/cpu/cpu1/cpufreq/scaling_cur_freq": "729600",
        "class/devfreq/17000000.gpu/cur_freq": "624750000",
        "class/devfreq/15340000.vic/cur_freq": "115200000",
        "bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon1/in1_label": "VDD_IN",
        "bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon1/in1_input": "5072",
        "bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon1/curr1_input": "1000",
        "bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon1/in7_label": "sum of shunt voltages",
        "bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon1/in7_input": "12",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content + "\n")
    monkeypatch.setattr(device_readings, "_SYSTEM", tmp_path)
    from canthus.bench.watch import read

    readings = read()
    assert {name: value for name, value in readings.items() if "memory" not in name} == {
        "temperature_celsius": 47.25,
        "cpu_megahertz": 1120.0,
        "gpu_megahertz": 624.75,
        "VDD_IN_watts": pytest.approx(5.072),
    }
    monkeypatch.setattr(device_readings, "_SYSTEM", tmp_path / "none")
    assert not [name for name in read() if "memory" not in name]


# Against a baseline

FIGURES = {
    "latency_p50_us": 4000.0,
    "latency_p90_us": 6000.0,
    "latency_p99_us": 9000.0,
    "latency_p99.9_us": None,
    "missed_share": 0.0,
    "answers_per_second": 30.0,
    "cpu_per_frame_us": 5000.0,
    "memory_most_bytes": 150e6,
}
SETTINGS = {
    "mode": "paced",
    "content": "made up, seed 0",
    "frames_per_second": 30.0,
    "events_per_second": 10**6,
    "seconds": 60.0,
    "speed": 1.0,
    "deadline_us": 100_000,
    "threads": 2,
    "faults": [],
    "processor": "<b>Cortex</b> & A78AE",
    "architecture": "aarch64",
    "cores": 6,
}


def make_result(**figures):
    extra = {
        "latency_max_us": 30_000.0,
        "jitter_deviation_us": 900.0,
        "jitter_p99_p50_us": 5000.0,
        "frames": 1800.0,
        "missed_frames": 2.0,
        "cpu_percent": 20.0,
        "cpu_pushing_percent": 5.0,
        "memory_growth_bytes": 120_000.0,
    }
    course = Course(150e6, 149e6, 151e6, [0.0, 1.0, 2.0], [150e6, 149e6, 151e6])
    return Result(
        settings=SETTINGS,
        versions={"bundle": "0123456789abcdef", "canthus": "0.1.0"},
        figures={**FIGURES, **extra, **figures},
        stages={"react": Stage(1500.0, 3000.0), "prime": Stage(900.0, None)},
        ledgers={"frames": Ledger(1830, 0, {"answered": 1816, "warming up": 12, "superseded": 2})},
        latencies=[(3000, 3032, 900), (4000, 4032, 890), (30_000, 30_208, 10)],
        slices=[Slice(0.0, 4000.0, 9000), Slice(1.0, 4100.0, 30_000)],
        courses={"own_memory_bytes": course, "temperature_celsius": Course(45, 44, 46, [0.0, 1.0], [44.0, 46.0])},
        checks=[Check("answered", True, "1,816 of 1,830"), Check("no drift", False, "+20%")],
    )


@pytest.fixture
def baseline(tmp_path):
    path = tmp_path / "before.json"
    path.write_text(json.dumps(make_result().to_json()))
    return read_baseline(path)


def worse(baseline, **figures):
    return [row.figure.name for row in compare(make_result(**figures).figures, baseline, 0.1) if row.worse]


def test_only_a_change_for_the_worse_beyond_the_limit_is_a_regression(baseline):
    assert worse(baseline) == []
    assert worse(baseline, latency_p99_us=9890.0, memory_most_bytes=164e6) == []
    assert worse(baseline, latency_p99_us=9910.0) == ["latency_p99_us"]
    assert worse(baseline, latency_p50_us=100.0, cpu_per_frame_us=100.0) == []
    assert worse(baseline, answers_per_second=26.9) == ["answers_per_second"]
    assert worse(baseline, answers_per_second=60.0) == []
    assert worse(baseline, missed_share=0.001) == []
    assert worse(baseline, missed_share=0.0011) == ["missed_share"]
    assert worse(baseline, **{"latency_p99.9_us": 10**9}) == []  # the baseline had too few frames to tell


@pytest.mark.parametrize(
    "name, value",
    [
        ("frames_per_second", 60.0),
        ("threads", 4),
        ("faults", ["drops"]),
        ("content", "recording ab"),
        ("cores", 2),
        ("seconds", 200.0),
    ],
)
def test_only_like_is_compared_with_like(baseline, name, value):
    check_alike(SETTINGS, baseline)
    check_alike({**SETTINGS, "seconds": 100.0}, baseline)
    message = re.escape(f"{name.replace('_', ' ')} {SETTINGS[name]!r} there, {value!r} here")
    with pytest.raises(BenchError, match=message):
        check_alike({**SETTINGS, name: value}, baseline)


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"[]", "not written by"),
        (b'{"format": "canthus bench", "version": 2}', "version 2"),
        (b'{"format": "canthus bench", "version": 1}', "settings make no sense"),
        (b'{"format":"canthus bench","version":1,"settings":{},"versions":{},"figures":{"a":"b"}}', "figures make no"),
        (b'{"format":"canthus bench","version":1,"settings":{},"versions":{},"figures":{"a":NaN}}', "figures make no"),
        (None, "No such file"),
    ],
)
def test_a_baseline_that_is_none(tmp_path, content, message):
    path = tmp_path / "before.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BenchError, match=message):
        read_baseline(path)


# The page and the summary


def test_the_page_loads_nothing_and_escapes_what_it_shows(baseline):
    result = make_result(latency_p99_us=20_000.0)
    text = page(result, compare(result.figures, baseline, 0.1), ["runtime 1 before, 2 now"])
    assert not re.search(r"<script|https?:|url\(|@import|<link|<img|<iframe", text)
    assert "<b>Cortex</b>" not in text and "&lt;b&gt;Cortex&lt;/b&gt; &amp; A78AE" in text
    HTMLParser().feed(text)
    pictures = re.findall(r"<svg.*?</svg>", text)
    assert len(pictures) == 6  # histogram, over time, two stages, two courses
    for picture in pictures:
        ElementTree.fromstring(picture)
    assert '<td class="missed">+122%' in text and "✗" in text and "runtime 1 before, 2 now" in text


def test_the_page_of_a_run_without_an_answer():
    result = make_result(**dict.fromkeys(FIGURES), latency_max_us=None, missed_frames=0.0)
    result = Result(**{**vars(result), "latencies": [], "slices": [], "stages": {}, "courses": {}})
    assert "No frame was answered" in page(
        Result(**{**vars(result), "figures": {**result.figures, "answers_per_second": 0.0}}), [], []
    )


def test_the_summary_says_what_a_percentile_needs():
    text = summary(make_result())
    assert "p99.9       needs 10,000 frames, 5.6 minutes" in text
    assert "p99" in text and "9.00 ms" in text and "FAILED  no drift: +20%" in text
    assert "+0.12 MB after the first minute" in text


@pytest.mark.parametrize(
    "low, high, logarithmic", [(0, 61, False), (148.2, 149.1, False), (1.8, 23, True), (0.5, 9e5, True)]
)
def test_axes_have_a_handful_of_ticks_within(low, high, logarithmic):
    ticks = Axis("", low, high, logarithmic).ticks()
    assert 3 <= len(ticks) <= 12 and low <= ticks[0] and ticks[-1] <= high
    places = [Axis("", low, high, logarithmic).place(tick) for tick in ticks]
    assert places == sorted(places) and 0 <= places[0] < places[-1] <= 1
