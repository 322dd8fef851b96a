"""Events that come late, twice or damaged, taken to their place in time."""

import numpy as np
import pytest

from canthus._native import EventWindow
from canthus.events import Events, prepare
from test_events import HEIGHT, WIDTH, WINDOW_US, make_events, push

ALWAYS = (-(2**62), 2**62)


def insert(window, events, earliest=ALWAYS[0], latest=ALWAYS[1], useful_from=ALWAYS[0]):
    return window.insert(*prepare(events), earliest, latest, useful_from)


def select(events, chosen):
    return Events(*(array[chosen] for array in events))


def join(*packets):
    return Events(*(np.concatenate(arrays) for arrays in zip(*packets, strict=True)))


@pytest.mark.parametrize("seed", range(5))
def test_any_order_gives_the_image_of_the_sorted_events(seed):
    random = np.random.default_rng(seed)
    events = make_events(5000, end=3 * WINDOW_US, seed=seed)
    distinct = select(events, np.unique(events.t, return_index=True)[1])  # of equal times, the order would decide
    expected = EventWindow(WIDTH, HEIGHT)
    push(expected, distinct)
    window, late = EventWindow(WIDTH, HEIGHT), 0
    for part in np.array_split(random.permutation(len(distinct.t)), 7):
        in_order, late_now, *unused = insert(window, select(distinct, part))
        late += late_now
        assert in_order + late_now == len(part) and not any(unused)
    assert late > 1000
    for end in range(0, 4 * WINDOW_US, WINDOW_US // 3):
        np.testing.assert_array_equal(window.image(end, WINDOW_US), expected.image(end, WINDOW_US))
        assert window.count(end, WINDOW_US) == expected.count(end, WINDOW_US)


def test_of_events_of_one_time_the_earlier_given_come_first():
    window = EventWindow(2, 1)
    at = np.array([5, 9], np.int64)
    x, y = np.zeros(2, np.int16), np.zeros(2, np.int16)
    insert(window, Events(at, x, y, np.array([True, False])))
    insert(window, Events(at[:1], x[:1], y[:1], np.array([False])))  # darker after brighter, at 5
    assert window.image(5, 5)[0, 0] == 127
    insert(window, Events(at[:1], x[:1], y[:1], np.array([False])))
    assert window.image(5, 5)[0, 0] == 0


def test_what_can_not_be_used_is_told_apart_and_left_out():
    events = make_events(1000, end=WINDOW_US)
    window, expected = EventWindow(WIDTH, HEIGHT), EventWindow(WIDTH, HEIGHT)
    push(expected, events)
    t, x, y, p = (
        array.astype(kind) for array, kind in zip(events, (np.int64, np.int64, np.int64, np.int8), strict=True)
    )
    bad = 40 * np.arange(25)
    x = np.insert(x, bad, np.resize([WIDTH, -1, 3, 1 << 40, 3], 25))
    y = np.insert(y, bad, np.resize([3, 3, HEIGHT, 3, 3], 25))
    p = np.insert(p, bad, np.resize([0, 1, 0, 1, 2], 25))
    t = np.insert(t, bad, t[np.minimum(bad, 999)])
    jumped = [0, 100, 1024]
    t, x, y, p = (np.insert(array, jumped, value) for array, value in ((t, 2**40), (x, 1), (y, 1), (p, 1)))
    counts = insert(window, Events(t, x, y, p), -(10**6), 10**6)
    assert sum(counts) == 1028 and counts[2:] == (0, 3, 25)
    np.testing.assert_array_equal(window.image(WINDOW_US, WINDOW_US), expected.image(WINDOW_US, WINDOW_US))


def test_events_whose_time_was_let_go_are_too_late():
    window = EventWindow(WIDTH, HEIGHT, kept_us=1000)
    x, y, p = np.zeros(3, np.int16), np.zeros(3, np.int16), np.ones(3, bool)
    assert insert(window, Events(np.array([0, 5000, 6000]), x, y, p)) == (3, 0, 0, 0, 0)
    assert insert(window, Events(np.array([10, 5500, 4999]), x, y, p)) == (0, 1, 2, 0, 0)
    assert window.count(6000, 1000) == 2
    for order in ([0, 1, 2], [2, 0, 1]):
        times = np.array([6100, 6199, 6200])[order]
        assert insert(window, Events(times, x, y, p), useful_from=6200) == (1, 0, 2, 0, 0)


def test_a_storm_takes_no_more_than_was_allowed():
    window = EventWindow(WIDTH, HEIGHT, at_most=10_000)
    for second in range(20):
        events = make_events(3000, seed=second)
        push(window, events._replace(t=np.arange(second * 3000, (second + 1) * 3000)))
    assert window.count(59_999, 10_000) == 10_000
    with pytest.raises(IndexError, match="let go"):
        window.count(59_999, 10_001)
