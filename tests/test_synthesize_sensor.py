"""The sensor models against what can be counted by hand."""

import math

import numpy as np

from canthus_model.synthesize.sensor import EVENT, EventCamera, EventPixels, FrameCamera

HEIGHT, WIDTH = 40, 60
IDEAL = EventCamera(
    on_threshold=0.2,
    off_threshold=0.25,
    mismatch=0,
    refractory=0,
    noise_rate=0,
    hot_pixels=0,
    memory=0,
    dark_luminance=0,
)


def flat(value):
    return np.full((HEIGHT, WIDTH), value, np.float32)


def pixels_at(luminance, seed=0, **changes):
    camera = EventCamera(**{**vars(IDEAL), **changes})
    return EventPixels(camera, luminance, np.random.default_rng(seed))


def bar(left, dark=0.1, bright=0.8):
    """A bright vertical bar, 10 pixels wide, whose left edge is at `left`."""
    picture = flat(dark)
    picture[:, left : left + 10] = bright
    return picture


def test_moving_bar_gives_log_ratio_over_threshold_events_on_then_off():
    pixels = pixels_at(bar(0))
    events = [pixels.step(bar(left), left * 1000 - 1000, left * 1000) for left in range(1, 45)]
    events = np.concatenate(events)
    ratio = math.log(0.8 / 0.1)
    passed = events[(events["x"] >= 12) & (events["x"] < 40)]  # the bar came and went
    assert passed.dtype == EVENT
    on_count = np.zeros((HEIGHT, WIDTH), int)
    off_count = np.zeros_like(on_count)
    np.add.at(on_count, (passed["y"][passed["p"]], passed["x"][passed["p"]]), 1)
    np.add.at(off_count, (passed["y"][~passed["p"]], passed["x"][~passed["p"]]), 1)
    assert (on_count[:, 12:40] == math.floor(ratio / 0.2)).all()
    # The rise left a rest of the ratio unreported, so the fall begins that much closer to it.
    reported = math.floor(ratio / 0.2) * 0.2
    assert (off_count[:, 12:40] == math.floor(reported / 0.25)).all()
    for x in (12, 25, 39):
        here = passed[passed["x"] == x]
        assert here["t"][here["p"]].max() < here["t"][~here["p"]].min()


def test_times_are_interpolated_where_each_threshold_is_crossed():
    pixels = pixels_at(flat(0.1))
    events = pixels.step(flat(0.1 * math.exp(1.0001)), 10_000, 20_000)
    expected = 10_000 + np.arange(1, 6) * 2_000
    assert np.unique(events["t"]).size == 5
    np.testing.assert_allclose(np.unique(events["t"]), expected, atol=3)
    assert events["p"].all() and events.size == 5 * HEIGHT * WIDTH


def test_slow_change_is_remembered_across_steps():
    pixels, events = pixels_at(flat(0.1)), []
    for step in range(1, 21):
        events.append(pixels.step(flat(0.1 * math.exp(0.0301 * step)), step * 1000 - 1000, step * 1000))
    assert sum(part.size for part in events) == 3 * HEIGHT * WIDTH


def test_events_are_sorted_and_before_the_end_of_their_step():
    pixels = pixels_at(bar(5), noise_rate=50.0, hot_pixels=5, refractory=100, mismatch=0.03)
    before = -1
    for step in range(1, 30):
        events = pixels.step(bar(5 + step), step * 2000 - 2000, step * 2000)
        assert (np.diff(events["t"]) >= 0).all()
        assert events["t"].min() >= max(before, step * 2000 - 2000)
        assert events["t"].max() < step * 2000
        before = events["t"].max()


def test_refractory_time_lies_between_any_two_events_of_a_pixel():
    changes = {"refractory": 700, "noise_rate": 100.0, "hot_pixels": 20, "hot_rate": 800.0}
    free, blind = pixels_at(bar(0), noise_rate=100.0), pixels_at(bar(0), **changes)
    free_events, events = (
        np.concatenate([pixels.step(bar(s), s * 1000 - 1000, s * 1000) for s in range(1, 45)])
        for pixels in (free, blind)
    )
    order = np.lexsort((events["t"], events["x"], events["y"]))
    pixel, time = (events["y"].astype(int) * WIDTH + events["x"])[order], events["t"][order]
    same = np.diff(pixel) == 0
    assert same.sum() > 1000
    assert np.diff(time)[same].min() >= 700
    assert events.size < free_events.size


def test_noise_rate_without_light_changing():
    pixels = pixels_at(flat(0.3), noise_rate=2.0)
    count = sum(pixels.step(flat(0.3), s * 2000, s * 2000 + 2000).size for s in range(1000))
    expected = 2.0 * HEIGHT * WIDTH * 2
    assert abs(count - expected) < 5 * math.sqrt(expected)


def test_hot_pixels_are_few_and_fire_at_their_rate():
    pixels = pixels_at(flat(0.3), hot_pixels=3, hot_rate=100.0)
    events = np.concatenate([pixels.step(flat(0.3), s * 1000, s * 1000 + 1000) for s in range(4000)])
    assert np.unique(events["y"].astype(int) * WIDTH + events["x"]).size == 3
    assert events["p"].all()
    assert abs(events.size - 1200) < 120  # at most one in a step: some 5 % fewer


def test_thresholds_differ_between_pixels():
    def counts(mismatch):
        events = pixels_at(flat(0.1), mismatch=mismatch).step(flat(0.8), 0, 1000)
        return np.bincount(events["y"].astype(int) * WIDTH + events["x"], minlength=HEIGHT * WIDTH)

    assert counts(0.0).std() == 0
    assert counts(0.03).std() > 0.5


def test_frame_is_luminance_with_shot_and_read_noise():
    camera = FrameCamera()
    random = np.random.default_rng(0)
    frames = {light: camera.expose(flat(light), random) for light in (0.0, 0.3, 2.0)}
    assert all(frame.dtype == np.uint8 and frame.shape == (HEIGHT, WIDTH) for frame in frames.values())
    assert (frames[2.0] == 255).all() and frames[0.0].mean() < 3
    electrons = 0.3 / camera.white * camera.saturation
    level = 255 / camera.saturation
    assert abs(frames[0.3].mean() - electrons * level) < 0.5
    noise = math.sqrt(electrons + camera.read_noise**2) * level
    assert abs(frames[0.3].std() - noise) < 0.1 * noise
