"""The filter over a stream's answers: what flickers is steady, what lasts gets through, and time is the sensor's."""

import time
from itertools import pairwise

import numpy as np
import pytest

from canthus.steady import Steadiness, SteadyFilter

LABELS = ("angry", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
FRAME_US = 33_333


def answer(label, probability=0.8):
    values = np.full(7, (1 - probability) / 6, np.float32)
    values[LABELS.index(label)] = probability
    return values


def play(labels, steadiness=None, probability=0.8, begin=10**15):
    """What is steady after each of the answers, a frame apart."""
    one = SteadyFilter(LABELS, steadiness or Steadiness())
    said = []
    for number, label in enumerate(labels):
        one.update(begin + number * FRAME_US, answer(label, probability))
        said.append(one.label)
    return said


def test_what_flickers_for_a_moment_changes_nothing():
    said = play(["happiness"] * 30 + ["fear"] * 3 + ["happiness"] * 30)
    assert set(said) == {"happiness"}


def test_what_lasts_takes_over_soon():
    said = play(["happiness"] * 60 + ["fear"] * 60)
    changed = said.index("fear")
    assert set(said[changed:]) == {"fear"} and set(said[:changed]) == {"happiness"}
    assert 2 <= changed - 60 <= 15  # half a second


def test_two_that_are_as_likely_do_not_alternate():
    said = play([("fear", "surprise")[number % 2] for number in range(200)])
    assert sum(one != other for one, other in pairwise(said)) <= 1


def test_time_goes_by_the_sensor_and_not_by_frames():
    """Twice as many frames that say the same are not twice the evidence."""
    slow, fast = SteadyFilter(LABELS, Steadiness()), SteadyFilter(LABELS, Steadiness())
    for number in range(20):
        slow.update(number * 40_000, answer("fear", 0.5))
        for half in range(2):
            fast.update(number * 40_000 + half * 20_000, answer("fear", 0.5))
    np.testing.assert_allclose(slow.belief, fast.belief, atol=0.02)


def test_a_pause_and_a_time_that_jumps_begin_anew():
    for later in (10_000_000, -5_000_000, 0):
        one = SteadyFilter(LABELS, Steadiness())
        for number in range(60):
            one.update(10**9 + number * FRAME_US, answer("happiness"))
        last = 10**9 + 59 * FRAME_US
        one.update(last + later, answer("sadness", 0.6))
        assert one.label == "sadness"
        assert one.confidence == pytest.approx(0.6, abs=0.15)


def test_what_is_no_number_tells_nothing():
    one = SteadyFilter(LABELS, Steadiness())
    one.update(0, answer("fear"))
    one.update(FRAME_US, np.full(7, np.nan, np.float32))
    assert one.label == "fear" and np.isfinite(one.belief).all()
    one.update(2 * FRAME_US, answer("fear"), weight=0.0)
    assert sum(one.belief) == pytest.approx(1)


def test_a_certain_answer_that_was_wrong_does_not_count_for_ever():
    said = play(["fear"] * 10 + ["sadness"] * 40, probability=1.0)
    assert said[-1] == "sadness" and said.index("sadness") - 10 < 12


def test_a_face_comes_to_rest_more_often_than_it_goes_on():
    one = SteadyFilter(LABELS, Steadiness(to_neutral=0.9))
    for number in range(30):
        one.update(number * FRAME_US, answer("fear", 0.95))
    one.update(1_900_000, np.full(7, 1 / 7))
    belief = dict(zip(LABELS, one.belief, strict=True))
    assert belief["neutral"] > 5 * belief["happiness"]


def test_labels_without_neutral_and_a_single_one():
    for labels in (("a", "b"), ("a", "b", "c"), ("a",)):
        one = SteadyFilter(labels, Steadiness())
        for number in range(5):
            one.update(number * FRAME_US, np.full(len(labels), 1 / len(labels)))
        assert sum(one.belief) == pytest.approx(1) and one.label in labels


@pytest.mark.wall_time
def test_it_costs_next_to_nothing():
    one, said = SteadyFilter(LABELS, Steadiness()), answer("fear")
    best = min(_microseconds(one, said) for _ in range(5))
    assert best < 40  # some 8 on a server


def _microseconds(one, said):
    begin = time.perf_counter()
    for number in range(500):
        one.update(number * FRAME_US, said)
    return (time.perf_counter() - begin) / 500 * 1e6
