"""Intervals of a share of clips that come from few people, against SciPy and against people drawn anew."""

import math

import numpy as np
import pytest

stats = pytest.importorskip("scipy.stats")
from canthus_calibration.agreement import effective_clips, expected_agreement  # noqa: E402
from canthus_calibration.interval import clips_to_show, design_effect, share_between  # noqa: E402


@pytest.mark.parametrize("hits, clips", [(0, 50), (1, 50), (49, 50), (50, 50), (990, 1000), (1, 1)])
def test_an_interval_is_wilsons(hits, clips):
    expected = stats.binomtest(hits, clips).proportion_ci(0.95, method="wilson")
    assert share_between(hits / clips, clips) == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_none_and_all_are_in_their_intervals():
    assert all(share_between(1.0, clips)[1] == 1 and share_between(0.0, clips)[0] == 0 for clips in range(1, 100))


@pytest.mark.parametrize("share, goal", [(1.0, 0.99), (0.995, 0.99), (0.9, 0.5)])
def test_as_many_clips_as_it_takes_show_it(share, goal):
    clips = clips_to_show(share, goal)
    assert share_between(share, clips)[0] == pytest.approx(goal)
    assert share_between(share, 2 * clips)[0] > goal > share_between(share, clips / 2)[0]


def test_what_is_no_better_than_the_goal_never_shows_it():
    assert clips_to_show(0.99, 0.99) == math.inf


def test_clips_of_one_volunteer_that_are_all_alike_count_once():
    volunteer = np.repeat(np.arange(40), 25)
    alike = np.repeat(np.random.default_rng(0).random(40) < 0.3, 25)
    assert design_effect(alike, volunteer) == pytest.approx(25, rel=0.1)
    assert design_effect(np.ones(1000, bool), volunteer) == 1


@pytest.mark.parametrize("alike", [0.0, 0.1, 0.4])
def test_intervals_hold_the_truth_as_often_as_they_say(alike):
    """One answer in a hundred changes, that with the smallest lead; `alike` is how much of a lead is its owner's."""
    random, truth, people, clips = np.random.default_rng(1), 0.99, 24, 20
    volunteer, held, naive = np.repeat(np.arange(people), clips), [], []
    for _ in range(400):
        owner, own = random.normal(size=(people, 1)), random.normal(size=(people, clips))
        drawn = (math.sqrt(alike) * owner + math.sqrt(1 - alike) * own).ravel()
        same = drawn > stats.norm.ppf(1 - truth)
        probability = 1 / (1 + np.exp(-np.exp(drawn)))
        independent = effective_clips(np.stack([probability, 1 - probability], 1), same, volunteer)
        for kept, count in ((held, independent), (naive, len(same))):
            low, high = share_between(float(same.mean()), count)
            kept.append(low <= truth <= high)
    assert np.mean(held) >= 0.94
    assert alike < 0.4 or np.mean(naive) < 0.9


def probabilities(leads):
    """Of two labels, (N, 2), of which the first leads by so many logits."""
    first = 1 / (1 + np.exp(-np.asarray(leads, np.float64)))
    return np.stack([first, 1 - first], 1)


def test_answers_are_expected_to_stay_as_often_as_they_do():
    """Leads and what moves them drawn anew: the expectation is nearer to the truth than a count is."""
    random, clips, truth, counted, expected = np.random.default_rng(2), 300, [], [], []
    for _ in range(200):
        leads, moved = random.normal(0, 2, 50 * clips), random.normal(0, 0.1, 50 * clips)
        truth.append(100 * ((leads > 0) == (leads + moved > 0)).mean())
        leads, moved, same_light = leads[:clips], moved[:clips], np.zeros(clips, int)
        before, after = probabilities(leads), probabilities(leads + moved)
        counted.append(100 * (before.argmax(1) == after.argmax(1)).mean())
        expected += expected_agreement(before, after, same_light)
    assert abs(np.mean(expected) - np.mean(truth)) < 0.1
    assert np.std(expected) < 0.6 * np.std(counted)


def test_what_does_not_move_stays_and_each_lighting_is_told_apart():
    leads, lighting = np.array([0.1, 3.0, 0.1, 3.0]), np.array([0, 0, 2, 2])
    before, after = probabilities(leads), probabilities(leads - [0, 0, 1, 1])
    assert expected_agreement(before, before, lighting) == [100.0, 100.0]
    assert expected_agreement(before, after, lighting) == [100.0, 75.0]  # the lead of one is lost, if moved that way
