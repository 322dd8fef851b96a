"""Event accumulation against the camera maker's own, and what is refused."""

import itertools

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from canthus._native import EventWindow
from canthus.errors import EventError
from canthus.events import Events, as_events, prepare

WIDTH, HEIGHT = 34, 26  # small, so that many events meet in a pixel
WINDOW_US = 33_000


def make_events(count, seed=0, end=WINDOW_US):
    random = np.random.default_rng(seed)
    return Events(
        np.sort(random.integers(end - WINDOW_US + 1, end + 1, count)),
        random.integers(0, WIDTH, count).astype(np.int16),
        random.integers(0, HEIGHT, count).astype(np.int16),
        random.integers(0, 2, count).astype(bool),
    )


def push(window, events):
    return window.push(*prepare(events))


def as_store(dv, events):
    store = dv.EventStore()
    for t, x, y, p in zip(*(array.tolist() for array in events), strict=True):
        store.push_back(t, x, y, bool(p))
    return store


def dv_accumulator(dv, contribution, neutral):
    accumulator = dv.Accumulator((WIDTH, HEIGHT))
    accumulator.setMinPotential(0.0)
    accumulator.setMaxPotential(1.0)
    accumulator.setNeutralPotential(neutral)
    accumulator.setEventContribution(contribution)
    accumulator.setDecayFunction(dv.Accumulator.Decay.NONE)
    accumulator.setSynchronousDecay(False)
    return accumulator


SETTINGS = [(0.5, 0.5), (1.0, 0.5), (0.25, 0.5), (0.5, 0.0), (0.1, 0.5), (0.15, 0.3), (0.04, 0.0), (0.003, 0.7)]


@pytest.mark.parametrize("count", [0, 300, 20_000])
@pytest.mark.parametrize("contribution, neutral", SETTINGS)
def test_image_is_the_makers_potential_truncated(contribution, neutral, count):
    dv = pytest.importorskip("dv_processing")
    events = make_events(count)
    accumulator = dv_accumulator(dv, contribution, neutral)
    accumulator.accept(as_store(dv, events))
    window = EventWindow(WIDTH, HEIGHT, contribution, neutral)
    assert push(window, events) is None
    image = window.image(WINDOW_US, WINDOW_US)
    if count:  # without events, the maker's surface stays empty
        potential = accumulator.getPotentialSurface()
        np.testing.assert_array_equal(image, np.trunc(potential * np.float32(255)).astype(np.uint8))
    else:
        assert (image == np.uint8(np.float32(neutral) * np.float32(255))).all()


def test_image_is_the_makers_frame_but_for_the_rounding_of_no_change():
    dv = pytest.importorskip("dv_processing")
    events = make_events(1500)
    accumulator = dv_accumulator(dv, 0.5, 0.5)
    accumulator.accept(as_store(dv, events))
    frame = accumulator.generateFrame().image
    window = EventWindow(WIDTH, HEIGHT)
    push(window, events)
    image = window.image(WINDOW_US, WINDOW_US)
    assert set(np.unique(image)) == {0, 127, 255}
    np.testing.assert_array_equal(image, np.where(frame == 128, 127, frame))


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    contribution=st.floats(2**-7, 1.0, width=32),
    neutral=st.floats(0.0, 1.0, width=32, allow_subnormal=False),
    polarities=st.lists(st.booleans(), max_size=40),
)
def test_potential_is_held_within_bounds_at_every_event(contribution, neutral, polarities):
    potential, step = np.float32(neutral), np.float32(contribution)
    for polarity in polarities:
        potential = np.clip(potential + (step if polarity else -step), np.float32(0), np.float32(1))
    window = EventWindow(1, 1, contribution, neutral)
    zeros = np.zeros(len(polarities), np.uint16)
    push(window, Events(zeros.astype(np.int64), zeros, zeros, np.array(polarities, bool)))
    assert window.image(0, 1)[0, 0] == int(potential * np.float32(255))


def test_window_is_open_before_and_closed_after():
    window = EventWindow(3, 1)
    push(window, Events(np.array([100, 101, 200]), np.arange(3), np.zeros(3, int), np.ones(3, bool)))
    assert window.image(200, 100).tolist() == [[127, 255, 255]]
    assert window.image(199, 100).tolist() == [[255, 255, 127]]
    assert window.count(200, 100) == 2


def test_image_may_be_written_into_a_buffer():
    window = EventWindow(WIDTH, HEIGHT)
    push(window, make_events(500))
    out = np.empty((HEIGHT, WIDTH), np.uint8)
    assert window.image(WINDOW_US, WINDOW_US, out) is out
    np.testing.assert_array_equal(out, window.image(WINDOW_US, WINDOW_US))
    with pytest.raises(ValueError, match="shape"):
        window.image(WINDOW_US, WINDOW_US, np.empty((WIDTH, HEIGHT), np.uint8))
    with pytest.raises(TypeError):
        window.image(WINDOW_US, WINDOW_US, out.astype(float))


def test_packets_may_be_cut_anywhere():
    events = make_events(3000)
    whole, cut = EventWindow(WIDTH, HEIGHT, 0.1), EventWindow(WIDTH, HEIGHT, 0.1)
    push(whole, events)
    edges = [0, 1, 1, 2, 40, 1000, 2999, 3000]
    for begin, end in itertools.pairwise(edges):
        push(cut, Events(*(array[begin:end] for array in events)))
    for end in (5000, 20_000, WINDOW_US):
        np.testing.assert_array_equal(whole.image(end, 10_000), cut.image(end, 10_000))


def test_many_seconds_give_the_images_of_their_last_window():
    """Old events are let go, and the arrays are moved back and grow: none of it shows in the images."""
    long, images = EventWindow(WIDTH, HEIGHT), []
    for i in range(200):
        end = (i + 1) * WINDOW_US
        events = make_events(50 + 100 * (i % 7), seed=i, end=end)
        push(long, events)
        short = EventWindow(WIDTH, HEIGHT)
        push(short, events)
        images = [*images[-20:], short.image(end, WINDOW_US)]
        for age, image in enumerate(reversed(images)):
            np.testing.assert_array_equal(long.image(end - age * WINDOW_US, WINDOW_US), image)


def test_events_let_go_are_not_taken_for_no_events():
    window = EventWindow(2, 1)
    for t in (1000, 500_000, 1_600_000):
        push(window, Events(np.array([t]), np.array([0]), np.array([0]), np.array([True])))
    with pytest.raises(IndexError, match="let go"):
        window.image(1_033_000 - 100_000, WINDOW_US + 1_000_000)
    assert window.image(1_000_000, WINDOW_US).tolist() == [[127, 127]]
    assert window.count(1_600_000, 1_000_000) == 1


def with_value(events, name, index, value):
    array = getattr(events, name).astype(np.int64 if name != "p" else np.int8)
    array[index] = value
    return events._replace(**{name: array})


@pytest.mark.parametrize("index", [0, 1, 1023, 1024, 1025, 2999])
@pytest.mark.parametrize(
    "name, value",
    [("x", WIDTH), ("x", -1), ("y", HEIGHT), ("y", -7), ("x", 1 << 40), ("x", 65536), ("p", 2), ("p", -2)],
)
def test_a_bad_event_is_found_and_nothing_is_taken_in(name, value, index):
    window = EventWindow(WIDTH, HEIGHT)
    push(window, make_events(100, seed=1))
    before = window.image(10**6, 10**6)
    events = make_events(3000, end=2 * WINDOW_US)
    assert push(window, with_value(events, name, index, value)) == index
    np.testing.assert_array_equal(window.image(10**6, 10**6), before)
    assert push(window, events) is None


def test_times_that_go_back_are_refused_within_and_between_packets():
    window = EventWindow(WIDTH, HEIGHT)
    events = make_events(3000, end=2 * WINDOW_US)
    assert push(window, with_value(events, "t", 2000, 0)) == 2000
    assert push(window, events) is None
    last = events.t[-1]
    assert push(window, with_value(make_events(1), "t", 0, last - 1)) == 0
    assert push(window, with_value(make_events(1), "t", 0, last)) is None


def structured(events, t="timestamp", p="polarity"):
    dtype = [(t, np.int64), ("x", np.int16), ("y", np.int16), (p, np.int8)]
    array = np.empty(len(events.t), dtype)
    for field, name in zip(events, (t, "x", "y", p), strict=True):
        array[name] = field
    return array


FORMS = {
    "times of 32 bits": lambda e: e._replace(t=e.t.astype(np.int32)),
    "unsigned times": lambda e: e._replace(t=e.t.astype(np.uint64)),
    "lists": lambda e: Events(*(array.tolist() for array in e)),
    "-1 and 1, int8": lambda e: e._replace(p=np.where(e.p, 1, -1).astype(np.int8)),
    "-1 and 1, int64": lambda e: e._replace(p=np.where(e.p, 1, -1)),
    "0 and 1, uint32": lambda e: e._replace(p=e.p.astype(np.uint32)),
    "uint8 polarity": lambda e: e._replace(p=e.p.astype(np.uint8)),
    "uint16 pixels": lambda e: e._replace(x=e.x.astype(np.uint16), y=e.y.astype(np.uint16)),
    "mixed pixels": lambda e: e._replace(x=e.x.astype(np.int64), y=e.y.astype(np.uint8)),
    "big-endian pixels": lambda e: e._replace(x=e.x.astype(">i2"), y=e.y.astype(">i2")),
    "every second": lambda e: Events(*(np.repeat(array, 2)[::2] for array in e)),
    "structured": lambda e: as_events(structured(e)),
    "structured, short names": lambda e: as_events(structured(e, "t", "p")),
    "EventStore": lambda e: as_events(as_store(pytest.importorskip("dv_processing"), e)),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("count", [0, 2000])
def test_every_form_gives_the_same_image(form, count):
    events = make_events(count)
    images = []
    for given_events in (events, FORMS[form](events)):
        window = EventWindow(WIDTH, HEIGHT)
        assert push(window, given_events) is None
        images.append(window.image(WINDOW_US, WINDOW_US))
    np.testing.assert_array_equal(*images)


@pytest.mark.parametrize("type_", [np.uint8, np.int8, np.int16, np.int64])
def test_a_polarity_that_means_nothing_is_damage_of_one_event(type_):
    events = make_events(10)
    odd = events.p.astype(type_)
    odd[[2, 5]] = 7, 100
    codes = prepare(events._replace(p=odd)).p
    assert codes.dtype == np.uint8 and np.flatnonzero(codes > 1).tolist() == [2, 5]
    assert np.array_equal(np.delete(codes, [2, 5]), np.delete(events.p, [2, 5]))


def test_16_bit_pixels_are_not_copied():
    events = make_events(10)
    assert np.shares_memory(prepare(events).x, events.x)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"t": np.zeros(10)}, "t is float64; give int64 microseconds"),
        ({"t": np.full(10, 2**63, np.uint64)}, "t reaches 9223372036854775808, beyond int64"),
        ({"x": np.zeros(10, np.float32)}, "x is float32; give whole pixels"),
        ({"y": np.zeros((5, 2), np.int16)}, r"y is of shape \(5, 2\)"),
        ({"y": [0.5] * 10}, "y is float64; give whole pixels"),
        ({"y": "ten pixels"}, "y is a str"),
        ({"p": np.zeros(10)}, "p is float64; give bool"),
        ({"p": np.full(10, 255, np.uint8)}, "most of the events' p are neither 1 .brighter. nor 0 or -1 .darker."),
        ({"p": np.full(10, -(2**40))}, "most of the events' p are neither"),
        ({"p": np.zeros(9, bool)}, "10 event times t but 9 of p"),
    ],
)
def test_wrong_types_and_lengths_are_refused(change, message):
    with pytest.raises(EventError, match=message):
        prepare(make_events(10)._replace(**change))


@pytest.mark.parametrize("events", [np.zeros(3), np.zeros(3, [("t", np.int64), ("x", np.int16)]), "events", None])
def test_what_has_no_fields_is_refused(events):
    with pytest.raises(EventError, match="give t, x, y, p as four arrays"):
        as_events(events)


@pytest.mark.parametrize(
    "arguments", [(0, 1), (1, -1), (40_000, 1), (1, 1, 0.0), (1, 1, float("nan")), (1, 1, 0.5, 1.5)]
)
def test_an_impossible_window_is_refused(arguments):
    with pytest.raises(ValueError):
        EventWindow(*arguments)
