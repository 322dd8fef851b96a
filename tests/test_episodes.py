"""Episodes: when an expression began and ended, for synchronous streams, live ones and recordings alike."""

import asyncio
import json
import threading

import numpy as np
import pytest

import canthus
from canthus.cli import main
from canthus.episodes import Episode, EpisodeTracker
from canthus.live.stream import LiveStream
from test_stream import SENSOR, StandInEngine

FRAME_US = 33_333


def track(*said, shortest_us=250_000):
    """What is told of (label, frames) one after another."""
    tracker, told, time_us = EpisodeTracker(shortest_us), [], 0
    for label, frames in said:
        for _ in range(frames):
            told += tracker.update(time_us, label, 0.9)
            time_us += FRAME_US
    return told + tracker.end()


def test_each_is_told_when_it_has_lasted_and_when_it_has_ended():
    told = track(("fear", 30), ("neutral", 30))
    assert [(one.label, one.offset_us is None) for one in told] == [
        ("fear", True), ("fear", False), ("neutral", True), ("neutral", False),
    ]  # fmt: skip
    assert told[0].onset_us == told[1].onset_us == 0
    assert told[1].offset_us == told[2].onset_us == 30 * FRAME_US
    assert told[3].offset_us == 59 * FRAME_US
    assert told[1].peak == 0.9 and told[1].mean == pytest.approx(0.9)


def test_what_is_shorter_is_never_told():
    assert {one.label for one in track(("fear", 30), ("angry", 5), ("fear", 30))} == {"fear"}


def test_a_short_doubt_ends_nothing_and_a_long_one_does():
    assert len(track(("fear", 30), (None, 6), ("fear", 30))) == 2
    told = track(("fear", 30), (None, 30), ("fear", 30))
    assert len(told) == 4
    assert told[1].offset_us == 29 * FRAME_US  # the last that was sure
    assert told[2].onset_us == 60 * FRAME_US


def test_a_gap_and_a_time_that_jumps_back_end_it():
    for later in (10**9, -(10**9)):
        tracker = EpisodeTracker()
        for number in range(20):
            tracker.update(number * FRAME_US, "fear", 0.9)
        told = tracker.update(19 * FRAME_US + later, "fear", 0.9)
        assert [one.offset_us for one in told] == [19 * FRAME_US]
        assert tracker.current is None


def test_peak_and_mean_are_of_its_own_answers():
    tracker = EpisodeTracker()
    for number, confidence in enumerate([0.5, 1.0, 0.6] * 10):
        tracker.update(number * FRAME_US, "fear", confidence)
    (ended,) = tracker.end()
    assert (ended.peak, ended.mean) == (1.0, pytest.approx(0.7))


class Moody(StandInEngine):
    """Answers by how bright the frame is."""

    def react(self, frame, event, first):
        answer = super().react(frame, event, first)
        probabilities = np.full((1, 7), 0.02, np.float32)
        probabilities[0, int(frame.mean()) // 30 % 7] = 0.88
        return answer._replace(probabilities=probabilities)


MOODS = [0] * 40 + [3] * 40 + [5] * 3 + [3] * 20 + [4] * 40
EXPECTED = ["angry", "happiness", "neutral"]


def frames():
    for number, mood in enumerate(MOODS):
        image = np.full((SENSOR[1], SENSOR[0]), 30 * mood + 5, np.uint8)
        image[:, ::2] += 20
        yield image, 10**12 + number * FRAME_US


def test_a_stream_keeps_them_until_they_are_taken():
    stream, told = canthus.Stream(Moody(), SENSOR), []
    for image, time_us in frames():
        expression = stream.push_frame(image, time_us)
        told += stream.take_episodes()
        if expression:
            assert expression.steady in EXPECTED and 0 < expression.confidence <= 1 and expression.unsure is None
    assert stream.episode.label == "neutral"
    told += stream.end()
    assert [one.label for one in told if one.offset_us] == EXPECTED
    assert all(isinstance(one, Episode) for one in told)


def test_where_nothing_is_to_be_seen_answers_are_unsure_and_the_episode_ends():
    stream, said, told = canthus.Stream(Moody(), SENSOR), [], []
    for number, (image, time_us) in enumerate(frames()):
        if 30 <= number < 70:
            image = np.full_like(image, 3 if number < 50 else 255)
        if expression := stream.push_frame(image, time_us):
            said.append(expression)
        told += stream.take_episodes()
    unsure = {one.unsure for one in said}
    assert unsure == {None, "too dark", "too bright"}
    assert all((one.steady, one.confidence) == ("unsure", 0.0) for one in said if one.unsure)
    assert all(one.label in one.labels for one in said)
    assert told[1].label == "angry" and told[1].offset_us == 10**12 + 29 * FRAME_US


def test_the_books_tell_why_answers_were_unsure():
    with LiveStream(Moody(), SENSOR, on_expression=lambda one: None, wait_us=0) as live:
        for number, (image, time_us) in enumerate(frames()):
            live.push_frame(np.zeros_like(image) if number > 100 else image, time_us)
            assert live.drain(10)
        assert live.health.unsure == {"too dark": len(MOODS) - 101}
        assert live.health.frames.balanced


def test_it_can_be_switched_off():
    stream = canthus.Stream(Moody(), SENSOR, steady=False)
    said = [stream.push_frame(image, time_us) for image, time_us in frames()]
    assert said[-1].label == "neutral" and (said[-1].steady, said[-1].confidence, said[-1].unsure) == (None,) * 3
    assert stream.episode is None and stream.take_episodes() == stream.end() == []


def push_all(live):
    for image, time_us in frames():
        live.push_frame(image, time_us)
        assert live.drain(10)


def as_a_stream_tells():
    stream, told = canthus.Stream(Moody(), SENSOR), []
    for image, time_us in frames():
        stream.push_frame(image, time_us)
        stream.prepare()
        told += stream.take_episodes()
    return told + stream.end()


def test_live_they_are_the_same_by_callback_and_by_iteration():
    called = []
    with LiveStream(Moody(), SENSOR, on_expression=lambda one: None, on_episode=called.append, wait_us=0) as live:
        push_all(live)
    assert called == as_a_stream_tells()
    live, read = LiveStream(Moody(), SENSOR, on_expression=lambda one: None, wait_us=0), []
    reader = threading.Thread(target=lambda: read.extend(live.episodes))
    reader.start()
    push_all(live)
    live.close()
    reader.join(10)
    assert read == called


def test_live_by_asyncio():
    async def follow():
        live = LiveStream(Moody(), SENSOR, on_expression=lambda one: None, wait_us=0)
        pushing = asyncio.get_running_loop().run_in_executor(None, lambda: (push_all(live), live.close()))
        read = [episode async for episode in live.episodes]
        await pushing
        return read

    assert asyncio.run(follow()) == as_a_stream_tells()


def test_a_callback_that_raises_is_counted():
    def broken(episode):
        raise ValueError("no")

    with LiveStream(Moody(), SENSOR, on_expression=lambda one: None, on_episode=broken, wait_us=0) as live:
        push_all(live)
        assert live.health.callback_errors >= 3 and live.health.ended is None


def test_the_command_tells_answers_and_episodes(small_bundle, recording, capsys):
    assert main(["run", str(small_bundle), str(recording), "--json"]) == 0
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert all({"label", "probabilities", "steady", "confidence", "unsure"} <= one.keys() for one in said)
    assert main(["run", str(small_bundle), str(recording), "--json", "--episodes"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert all(list(one) == ["label", "onset_us", "offset_us", "peak", "mean"] for one in lines)
    source = canthus.open(recording)
    with source:
        watching = canthus.watch(canthus.load(small_bundle), source)
        list(watching)
        assert [one.label for one in watching.take_episodes() if one.offset_us] == [one["label"] for one in lines]
    assert main(["run", str(small_bundle), str(recording), "--episodes"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2 * len(lines)
