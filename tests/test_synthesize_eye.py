"""The eye and its motion: smooth, repeatable, and what eyes do."""

import itertools
import math

import numpy as np
import pytest

from canthus_model.synthesize import anatomy
from canthus_model.synthesize.eye import Eye
from canthus_model.synthesize.motion import Motion, Track

SECONDS = 12
TIMES = np.arange(0, SECONDS, 0.002)


@pytest.fixture(scope="module")
def poses():
    motion = Motion(SECONDS, 0)
    return [motion.pose(time) for time in TIMES]


def test_track_moves_from_level_to_level_in_the_time_given():
    track = Track([1.0, 3.0], [0.5, 1.0], [2.0, 6.0, 4.0])
    assert [track.at(time) for time in (0, 1, 1.25, 1.5, 2.9, 3.5, 9)] == [2, 2, 4, 6, 6, 5, 4]


def test_picture_is_linear_luminance_and_differs_by_seed():
    picture = Eye(1, 0).luminance(0.0)
    assert picture.dtype == np.float32 and picture.shape == (260, 346)
    assert np.isfinite(picture).all() and picture.min() >= 0
    assert picture.max() > 1  # glint
    np.testing.assert_array_equal(picture, Eye(1, 0).luminance(0.0))
    assert np.abs(picture - Eye(1, 1).luminance(0.0)).mean() > 0.01


def test_pupil_follows_the_gaze(poses):
    eye = Eye(SECONDS, 0)
    open_eyes = [i for i, pose in enumerate(poses) if pose.opening > 0.8]
    for index in (
        max(open_eyes, key=lambda i: poses[i].gaze_x),
        min(open_eyes, key=lambda i: poses[i].gaze_x),
    ):
        picture = eye.luminance(TIMES[index])[120:190, 90:260]
        x = np.nonzero(picture < 0.02)[1]
        # A lash may be as dark as the pupil; the median isn't moved by a few.
        expected = anatomy.CENTRE[0] + anatomy.EYEBALL_RADIUS * math.sin(poses[index].gaze_x)
        assert abs(90 + np.median(x) - expected) < 5


def test_saccades_are_on_the_main_sequence(poses):
    gaze = np.degrees([(pose.gaze_x, pose.gaze_y) for pose in poses])
    speed = np.hypot(*np.diff(gaze, axis=0).T) / 0.002
    moving = np.flatnonzero(np.diff(np.concatenate([[False], speed > 30, [False]]).astype(int)))
    saccades = [(begin, end) for begin, end in moving.reshape(-1, 2) if end - begin > 5]
    assert len(saccades) > 12
    for begin, end in saccades:
        amplitude = np.hypot(*(gaze[end] - gaze[begin]))
        assert (end - begin) * 0.002 <= 0.021 + 0.0022 * amplitude + 0.006
        assert speed[begin:end].max() < 700  # degrees per second
    fixating = speed < 30
    assert 0.7 < fixating.mean() < 0.95


def test_blinks_close_the_eye_for_a_moment(poses):
    shut = np.array([pose.opening < 0.5 for pose in poses])
    edges = np.flatnonzero(np.diff(shut.astype(int)))
    blinks = np.diff(edges.reshape(-1, 2)).ravel() * 0.002
    assert 3 <= blinks.size <= 8
    assert (blinks > 0.06).all() and (blinks < 0.2).all()
    assert min(pose.opening for pose in poses) < 0.02


def test_lids_never_cross_and_stay_below_the_crease(poses):
    for pose in poses[::10]:
        upper, lower = anatomy.lids(pose.opening, pose.squint)
        assert (upper <= lower + 1e-3).all()
        assert (upper > anatomy.CREASE).all()


@pytest.mark.parametrize("moment", ["gaze", "blink"])
def test_luminance_has_no_jumps_in_time(poses, moment):
    eye = Eye(SECONDS, 0)
    change = [
        abs(after.gaze_x - before.gaze_x) if moment == "gaze" else abs(after.opening - before.opening)
        for before, after in itertools.pairwise(poses)
    ]
    time = TIMES[int(np.argmax(change))]
    coarse = np.abs(eye.luminance(time + 1e-4) - eye.luminance(time)).max()
    fine = np.abs(eye.luminance(time + 1e-5) - eye.luminance(time)).max()
    assert fine < 0.15 * coarse


def test_speed_is_that_of_the_fastest_edge(poses):
    eye = Eye(SECONDS, 0)
    speed = np.array([eye.speed(time) for time in TIMES])
    assert np.median(speed) < 100 < 1000 < speed.max() < 5000
