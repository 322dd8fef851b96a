"""The eye and its motion: smooth, repeatable, and what eyes do."""

import itertools
import math

import numpy as np
import pytest

from canthus_model.config import LABELS
from canthus_model.synthesize.anatomy import Anatomy
from canthus_model.synthesize.expressions import (
    ACTION_UNITS,
    PROTOTYPES,
    draw_apex,
    one_after_another,
    onset_apex_offset,
)
from canthus_model.synthesize.face import draw_face
from canthus_model.synthesize.motion import SLIP, Track
from canthus_model.synthesize.take import Take, parade
from synthetic_eye import make_eye, make_motion

SECONDS = 12
TIMES = np.arange(0, SECONDS, 0.002)


@pytest.fixture(scope="module")
def poses():
    motion = make_motion(SECONDS)
    return [motion.pose(time) for time in TIMES]


def test_track_moves_from_level_to_level_in_the_time_given():
    track = Track([1.0, 3.0], [0.5, 1.0], [2.0, 6.0, 4.0])
    assert [track.at(time) for time in (0, 1, 1.25, 1.5, 2.9, 3.5, 9)] == [2, 2, 4, 6, 6, 5, 4]


def test_picture_is_linear_luminance_and_differs_by_seed():
    picture = make_eye(1).luminance(0.0)
    assert picture.dtype == np.float32 and picture.shape == (260, 346)
    assert np.isfinite(picture).all() and picture.min() >= 0
    assert picture.max() > 1  # glint
    np.testing.assert_array_equal(picture, make_eye(1).luminance(0.0))
    assert np.abs(picture - make_eye(1, seed=1).luminance(0.0)).mean() > 0.01


def test_pupil_follows_the_gaze(poses):
    eye, anatomy = make_eye(SECONDS), Anatomy(draw_face(0, 1))
    open_eyes = [i for i, pose in enumerate(poses) if pose.closure == 0]
    for index in (
        max(open_eyes, key=lambda i: poses[i].gaze_x),
        min(open_eyes, key=lambda i: poses[i].gaze_x),
    ):
        picture = eye.luminance(TIMES[index])[120:190, 60:290]
        x = np.nonzero(picture < 0.02)[1]
        # A lash may be as dark as the pupil; the median isn't moved by a few.
        expected = draw_face(0, 1).centre[0] + anatomy.eyeball_radius * math.sin(poses[index].gaze_x)
        assert abs(60 + np.median(x) - expected - poses[index].slip_x) < 5


def test_saccades_are_on_the_main_sequence(poses):
    gaze = np.degrees([(pose.gaze_x, pose.gaze_y) for pose in poses])
    speed = np.hypot(*np.diff(gaze, axis=0).T) / 0.002
    moving = np.flatnonzero(np.diff(np.concatenate([[False], speed > 30, [False]]).astype(int)))
    saccades = [(begin, end) for begin, end in moving.reshape(-1, 2) if end - begin > 5]
    assert len(saccades) > 5
    for begin, end in saccades:
        amplitude = np.hypot(*(gaze[end] - gaze[begin]))
        assert (end - begin) * 0.002 <= 0.021 + 0.0022 * amplitude + 0.006
        assert speed[begin:end].max() < 700  # degrees per second
    fixating = speed < 30
    assert 0.7 < fixating.mean() < 0.98


def test_wearers_look_around_or_hold_still():
    """Saccades of more than two degrees a second, over takes: some have several, some hardly any."""
    rates = []
    for seed in range(30):
        motion = make_motion(SECONDS, seed)
        gaze = np.degrees([(pose.gaze_x, pose.gaze_y) for pose in map(motion.pose, np.arange(0, SECONDS, 0.1))])
        rates.append((np.hypot(*np.diff(gaze, axis=0).T) > 2).sum() / SECONDS)
    assert min(rates) < 0.6 and max(rates) > 1.5


def test_the_camera_is_still_most_of_the_time():
    """Moving faster than two pixels a second; who walks is never still."""
    shares = []
    for seed in range(40):
        motion = make_motion(SECONDS, seed)
        slip = np.array([(pose.slip_x, pose.slip_y) for pose in map(motion.pose, np.arange(0, SECONDS, 0.02))])
        shares.append((np.hypot(*np.diff(slip, axis=0).T) / 0.02 > 2).mean())
    assert np.median(shares) < 0.15
    assert 0.05 < np.mean(np.array(shares) > 0.5) < 0.4


def test_blinks_close_the_eye_for_a_moment(poses):
    shut = np.array([pose.closure > 0.5 for pose in poses])
    edges = np.flatnonzero(np.diff(shut.astype(int)))
    blinks = np.diff(edges.reshape(-1, 2)).ravel() * 0.002
    assert 3 <= blinks.size <= 8
    assert (blinks > 0.06).all() and (blinks < 0.2).all()
    assert max(pose.closure for pose in poses) > 0.98


@pytest.mark.parametrize("volunteer", range(8))
def test_lids_never_cross_and_stay_below_the_crease(poses, volunteer):
    anatomy = Anatomy(draw_face(0, volunteer))
    for pose in poses[::25]:
        upper, lower = anatomy.lids(pose)
        assert (upper <= lower + 1e-3).all()
        assert (upper > anatomy.crease).all()


@pytest.mark.parametrize("moment", ["gaze", "blink"])
def test_luminance_has_no_jumps_in_time(poses, moment):
    eye = make_eye(SECONDS)
    change = [
        abs(after.gaze_x - before.gaze_x) if moment == "gaze" else abs(after.closure - before.closure)
        for before, after in itertools.pairwise(poses)
    ]
    time = TIMES[int(np.argmax(change))]
    coarse = np.abs(eye.luminance(time + 1e-4) - eye.luminance(time)).max()
    fine = np.abs(eye.luminance(time + 1e-5) - eye.luminance(time)).max()
    assert fine < 0.15 * coarse


def test_speed_is_that_of_the_fastest_edge():
    eye = make_eye(SECONDS)
    speed = np.array([eye.speed(time) for time in TIMES])
    assert np.median(speed) < 100 < 1000 < speed.max() < 5000


def test_the_camera_slips_a_little(poses):
    slip = np.array([(pose.slip_x, pose.slip_y) for pose in poses])
    assert 0.3 * SLIP < np.hypot(*slip.T).max() <= SLIP
    assert np.abs(np.diff(slip, axis=0)).max() / 0.002 < 60  # pixels per second


def test_every_expression_moves_its_action_units():
    assert tuple(PROTOTYPES) == LABELS
    random = np.random.default_rng(0)
    means = {label: np.mean([draw_apex(label, random) for _ in range(200)], axis=0) for label in LABELS}
    for label, prototype in PROTOTYPES.items():
        for unit, strength in zip(ACTION_UNITS, means[label], strict=True):
            assert strength == pytest.approx(prototype.get(unit, 0.0), abs=0.06)


def test_expressions_show_in_the_picture():
    time = 1.0
    neutral = make_eye(2, 5, "neutral").luminance(time)
    for label in set(LABELS) - {"neutral"}:
        assert np.abs(make_eye(2, 5, label).luminance(time) - neutral).mean() > 0.01, label


def test_expressions_follow_one_another_from_rest_and_back():
    apexes = [np.full(8, 1.0), np.full(8, 0.5)]
    track = one_after_another(apexes, [1.0, 3.0])
    assert [round(float(track.at(time)[0]), 3) for time in (0, 0.5, 1, 3, 4)] == [0, 1, 0, 0.5, 0]


def test_a_parade_has_short_expressions_and_long_ones_and_a_neutral_face_between_most():
    takes = [parade(seed, 30) for seed in range(12)]
    lengths = np.concatenate([np.diff([0, *take.ends()]) for take in takes])
    assert lengths.min() < 1.2 and 3.5 < lengths.max() < 7.5
    assert all(take.ends()[-1] == pytest.approx(30) for take in takes)
    assert set().union(*(take.labels for take in takes)) == set(LABELS)
    follows = [pair for take in takes for pair in itertools.pairwise(take.labels)]
    assert all(one != other for one, other in follows)
    assert 0.7 < np.mean(["neutral" in pair for pair in follows]) < 0.95


def test_the_same_scene_with_other_noise():
    take = Take(0, 1, 3, ("fear",), (1.0,), "normal", 3)
    one, again, other = (list(take.moments(noise=noise)) for noise in (0, 0, 1))
    for a, b, c in zip(one, again, other, strict=True):
        np.testing.assert_array_equal(a.frame, b.frame)
        np.testing.assert_array_equal(a.events, b.events)
        assert (a.frame != c.frame).mean() > 0.3
        assert np.abs(a.frame.astype(float) - c.frame).mean() < 4  # noise, and no other scene


def test_a_sequence_ends_as_it_began_on_average():
    random, apex = np.random.default_rng(0), np.ones(8)
    tracks = [onset_apex_offset(apex, 0.0, 1.5, random) for _ in range(2000)]
    begin, middle, end = (np.array([track.at(time)[0] for track in tracks]) for time in (0.0, 0.75, 1.5))
    assert (middle == 1).all()
    assert abs(begin.mean() - end.mean()) < 0.03
    assert begin.std() > 0.15


def test_faces_differ_and_are_repeatable():
    faces = [draw_face(0, volunteer) for volunteer in range(60)]
    assert draw_face(0, 7).centre == faces[7].centre and draw_face(1, 7).centre != faces[7].centre
    assert 3 < sum(face.glasses > 0 for face in faces) < 25
    assert 2 < sum(face.eyeliner > 0 for face in faces) < 25
    assert all(face.woman for face in faces if face.eyeliner)
    skins = np.array([face.skin for face in faces])
    assert skins.max() / skins.min() > 2


@pytest.mark.parametrize("lighting", ["normal", "Overexposed", "Low", "HDR"])
def test_lighting(lighting):
    from canthus_model.synthesize.sensor import FrameCamera

    random = np.random.default_rng(0)
    shares, levels = [], []
    for seed in range(10):
        frame = FrameCamera().expose(make_eye(1, seed, lighting=lighting).luminance(0.0), random)
        shares.append((frame == 255).mean())
        levels.append(np.quantile(frame, 0.98) - np.quantile(frame, 0.02))
    expected = {"normal": (0, 0.1), "Overexposed": (0.6, 1), "Low": (0, 0.001), "HDR": (0.25, 0.65)}
    low, high = expected[lighting]
    assert low <= np.mean(shares) <= high
    assert (np.mean(levels) < 20) == (lighting == "Low")
