"""Whether an open eye is in view: learned from eyes and what is made of them, kept in bundles, told by streams."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

import canthus
from bundles import written
from canthus.cli import main
from canthus.errors import BundleError
from canthus.eye import MEMBER, Eye, EyeCheck, Thresholds
from canthus.eye_inputs import eye_inputs, small_inputs, smaller
from canthus.eye_watch import EYE_CLOSED, NO_EYE, UNFAMILIAR, EyeWatch
from canthus.manifest import MEMBERS

torch = pytest.importorskip("torch")

from canthus_calibration import eye_check  # noqa: E402
from canthus_calibration.eye_check import learn  # noqa: E402
from canthus_calibration.no_eye import in_turning_light, moved_a_little, no_eyes  # noqa: E402
from canthus_calibration.shut_eye import shut_eyes  # noqa: E402
from canthus_model.see.dataset import open_see  # noqa: E402
from canthus_model.steps import Steps  # noqa: E402
from see_folder import make_see  # noqa: E402

SIZE = (100, 133)


def check(bias=0.0, size=SIZE):
    """A check that finds brightness odd, many events a closed lid's, and frames unfamiliar that aren't flat.

    Its score of no eye is `bias` plus the brightness; of a closed one, how many events there are.
    """
    inputs = eye_inputs(*np.zeros((2, 1, *size), np.uint8)).shape[1]
    places = (inputs - 3) // 2
    first = np.zeros((inputs, 2), np.float32)
    first[-3, 0] = 1  # the brightness
    first[places:-3, 1] = 1 / (3 * places)
    components = np.zeros((places, 1), np.float32)
    components[0] = 1
    zero = np.zeros(2, np.float32)
    return EyeCheck(
        first,
        zero,
        np.eye(2, dtype=np.float32),
        np.array([bias, 0], np.float32),
        np.zeros(places, np.float32),
        components,
    )


def about(no_eye=1.0, unfamiliar=1e3, closed=1e3):
    """What a manifest tells of a check with these thresholds."""
    return Eye(Thresholds(no_eye, unfamiliar, closed), 10, 3, 0.01, 0.99, 0.8)


def test_small_pictures_are_means():
    images = np.random.default_rng(0).integers(0, 256, (2, *SIZE)).astype(np.float32)
    small = smaller(images)
    assert small.shape == (2, 25, 33)
    assert small[1, 3, 5] == pytest.approx(images[1, 12:16, 20:24].mean(), rel=1e-5)
    assert smaller(np.zeros((1, 30, 20), np.float32)).shape == (1, 30, 20)


def test_what_tells_an_eye_is_free_of_brightness_and_contrast():
    random = np.random.default_rng(0)
    frame = random.integers(40, 100, (1, *SIZE), np.uint8)
    event = np.full((1, *SIZE), 127, np.uint8)
    one, other = (eye_inputs(shown, event)[0] for shown in (frame, 2 * frame))
    places = 25 * 33
    np.testing.assert_allclose(one[:places], other[:places], atol=0.35)
    assert np.abs(one[:places]).max() > 1.5
    assert other[-3] > one[-3]
    event[0, :4, :4] = 255
    assert eye_inputs(frame, event)[0, places] == 3 and not eye_inputs(frame, event)[0, places + 1 : 2 * places].any()


def test_half_a_second_decides_by_the_sensors_clock():
    dark, bright = np.zeros(SIZE, np.uint8), np.full(SIZE, 200, np.uint8)
    watch = EyeWatch(check(), about().thresholds)
    said = [watch.why_not(number * 33_333, bright if number >= 30 else dark, dark) for number in range(60)]
    first = said.index(NO_EYE)
    assert set(said[:first]) == {None} and set(said[first:]) == {NO_EYE}
    assert 0.15 < (first - 30) / 30 < 0.35  # once it is more than half of half a second
    assert [watch.why_not(10 + number * 33_333, dark, dark) for number in range(5)] == [None] * 5  # begun anew
    # A blink, or whatever else passes, is no doubt.
    watch = EyeWatch(check(), about().thresholds)
    assert {watch.why_not(n * 33_333, bright if n % 20 < 5 else dark, dark) for n in range(5, 100)} == {None}


def test_what_passes_is_closed_and_what_stays_is_unfamiliar():
    flat, frames = np.full(SIZE, 9, np.uint8), np.random.default_rng(0).integers(2, 20, (60, *SIZE), np.uint8)
    none, many = np.full(SIZE, 127, np.uint8), np.full(SIZE, 255, np.uint8)
    watch = EyeWatch(check(), about(no_eye=9, closed=0.5).thresholds)
    said = [watch.why_not(number * 50_000, flat, many if 20 <= number < 23 else none) for number in range(40)]
    assert said == [None] * 20 + [EYE_CLOSED] * 3 + [None] * 17
    watch = EyeWatch(check(), about(no_eye=9, unfamiliar=0.5, closed=0.5).thresholds)
    said = [watch.why_not(number * 50_000, frames[number] if number >= 20 else flat, none) for number in range(40)]
    first = said.index(UNFAMILIAR)
    assert 22 < first < 27 and set(said[:first]) == {None} and set(said[first:]) == {UNFAMILIAR}


def test_nearer_answers_share_a_look():
    flat, none, many = np.full(SIZE, 9, np.uint8), np.full(SIZE, 127, np.uint8), np.full(SIZE, 255, np.uint8)
    watch = EyeWatch(check(), about(no_eye=9, closed=0.5).thresholds)
    assert watch.why_not(0, flat, many) == watch.why_not(49_999, flat, none) == EYE_CLOSED
    assert watch.why_not(50_000, flat, none) is watch.why_not(60_000, flat, many) is None


def test_a_member_comes_back_and_what_is_none_is_refused():
    one = check(0.25)
    again = EyeCheck.from_bytes(one.to_bytes(), SIZE, "eye.canthus")
    for name, array in vars(one).items():
        np.testing.assert_array_equal(getattr(again, name), array)
    odd = [
        b"nothing",
        one.to_bytes()[:-100],
        check(size=(50, 60)).to_bytes(),
        replace(one, first=one.first.astype(np.float64)).to_bytes(),
        replace(one, second=np.full((2, 2), np.nan, np.float32)).to_bytes(),
        replace(one, second=np.zeros((3, 2), np.float32)).to_bytes(),
        replace(one, components=one.components[1:]).to_bytes(),
        replace(one, components=one.components[:, :0]).to_bytes(),
        replace(one, first=np.array([object()])).to_bytes(),
    ]
    for content in odd:
        with pytest.raises(BundleError, match=r"eye\.canthus: eye\.npz"):
            EyeCheck.from_bytes(content, SIZE, "eye.canthus")


def with_check(bundle, path, bias=0.0):
    """The bundle, with a check in it."""
    members = {name: bundle.read(name) for name in MEMBERS}
    one = check(bias, bundle.manifest.image_size)
    manifest = replace(bundle.manifest, eye=about())
    return written(manifest, {**members, MEMBER: one.to_bytes()}, path)


def test_a_bundle_keeps_it_and_its_streams_tell(small_bundle, tmp_path, capsys):
    path = with_check(canthus.read_bundle(small_bundle), tmp_path / "eye.canthus")
    engine = canthus.load(path)
    assert engine.eye_check is not None and canthus.load(small_bundle).eye_check is None
    stream, said = canthus.Stream(engine, (34, 26)), []
    random = np.random.default_rng(0)
    for number in range(90):
        light = 200 if number >= 45 else 1
        image = random.integers(0, 4, (26, 34), np.uint8) * np.uint8(light // 4 + 1)
        if expression := stream.push_frame(image, 10**12 + number * 33_333):
            said.append((number, expression.unsure, expression.steady))
    assert {unsure for number, unsure, _ in said if number < 45} == {None}
    assert {(unsure, steady) for number, unsure, steady in said if number > 55} == {(NO_EYE, "unsure")}
    assert main(["inspect", str(path)]) == 0
    assert "learned from 10 volunteers" in capsys.readouterr().out
    assert main(["inspect", str(small_bundle)]) == 0
    assert "never learned" in capsys.readouterr().out


def test_a_bundle_that_lacks_it_or_has_another(small_bundle, tmp_path):
    bundle = canthus.read_bundle(small_bundle)
    path = with_check(bundle, tmp_path / "eye.canthus")
    import zipfile

    cut, extra = tmp_path / "cut.canthus", tmp_path / "extra.canthus"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(cut, "w") as new:
        for info in old.infolist():
            if info.filename != MEMBER:
                new.writestr(info.filename, old.read(info))
    shutil.copy(small_bundle, extra)
    with zipfile.ZipFile(extra, "a") as archive:
        archive.writestr(MEMBER, b"")
    for broken in (cut, extra):
        with pytest.raises(BundleError, match="once each"):
            canthus.load(broken)
    other = {name: bundle.read(name) for name in MEMBERS} | {MEMBER: b"nothing"}
    manifest = replace(bundle.manifest, eye=about())
    with pytest.raises(BundleError, match=r"eye\.npz can't be read"):
        canthus.load(written(manifest, other, tmp_path / "other.canthus"))


def eyes(count, seed=0):
    """Small pictures of something like an eye: a dark disc in a light almond, in any light."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:25, :33]
    frames = []
    for _ in range(count):
        down, across = rows - random.normal(12, 1), columns - random.normal(16, 1.5)
        picture = np.where((across / 12) ** 2 + (down / 6) ** 2 < 1, 0.6, 0.3)
        picture = np.where(across**2 + down**2 < 14, 0.05, picture)
        seen = picture * np.exp(random.uniform(np.log(5), np.log(600)))
        frames.append(np.clip(seen + random.normal(0, 0.5, picture.shape), 0, 255))
    events = random.random((count, 25, 33)) * 0.03
    return np.array(frames, np.float32), events.astype(np.float32)


def test_pictures_of_no_eye_are_of_the_same_kind():
    frame, events = eyes(200)
    none, none_events = no_eyes(frame, events, np.random.default_rng(1))
    assert none.shape == frame.shape and none.dtype == none_events.dtype == np.float32
    assert none.min() >= 0 and none.max() <= 255 and none_events.min() >= 0 and none_events.max() <= 1
    alike = [np.corrcoef(one.ravel(), other.ravel())[0, 1] for one, other in zip(none, frame, strict=True)]
    assert np.nanmean(np.abs(alike)) < 0.5
    aside, _ = moved_a_little(frame, events, np.random.default_rng(1))
    same = [np.corrcoef(one.ravel(), other.ravel())[0, 1] for one, other in zip(aside, frame, strict=True)]
    assert np.mean(same) > 0.8 and min(same) < 0.999


def test_a_shut_eye_has_no_iris_and_one_with_a_lid_beside_it_has():
    frame, events = eyes(200)
    shut, lids = shut_eyes(frame, events, np.random.default_rng(1))
    open_still, _ = shut_eyes(frame, events, np.random.default_rng(1), beside=True)
    assert shut.shape == frame.shape and shut.dtype == lids.dtype == np.float32
    assert shut.min() >= 0 and shut.max() <= 255 and lids.min() >= 0 and lids.max() <= 1

    def darkness(pictures):
        """Of the middle beside what is around it, in logarithms."""
        light = np.log(pictures + 4)
        return np.median(light[:, 5:20, 8:25].min((1, 2)) - np.median(light, (1, 2)))

    assert darkness(frame) < -0.9 and darkness(open_still) < -0.9 and darkness(shut) > -0.75
    assert 0.25 < ((lids - events).max((1, 2)) > 0.2).mean() < 0.75  # some lids move


def test_light_that_turns_has_events_everywhere():
    frame, events = eyes(400)
    same, more = in_turning_light(frame, events, np.random.default_rng(1))
    turning = (more - events).min((1, 2)) > 0.1
    np.testing.assert_array_equal(same, frame)
    np.testing.assert_array_equal(more[~turning], events[~turning])
    assert 0.05 < turning.mean() < 0.15 and more.max() <= 1


def test_it_learns_to_tell_eyes_it_has_not_seen(monkeypatch):
    monkeypatch.setattr(eye_check, "EPOCHS", 8)
    random = np.random.default_rng(0)

    class Told:
        def report(self, done, total):
            pass

    shown = eyes(600)
    made = eye_check.made_check(*shown, random, Told())
    others = eyes(300, seed=1)
    kinds = (others, no_eyes(*others, random), shut_eyes(*others, random))
    own, none, shut = (made.scores(small_inputs(*one)) for one in kinds)
    assert (none.no_eye > np.quantile(own.no_eye, 0.95)).mean() > 0.7
    assert (shut.closed > np.quantile(own.closed, 0.95)).mean() > 0.7
    stripes = np.where(np.arange(25)[:, None] % 4 < 2, others[0], 0)
    striped = made.scores(small_inputs(stripes, others[1]))
    assert (striped.unfamiliar > own.unfamiliar.max()).all()


def test_an_export_learns_it_and_another_does_the_same(small_checkpoint, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(eye_check, "EPOCHS", 1)
    monkeypatch.setattr(eye_check, "_FEWEST_CLIPS", 28)
    see = make_see(tmp_path / "SEE", sequences=28, frames=14)
    words = ["export", str(small_checkpoint), "--annotation", str(see / "emotion.json"), "--image-size", "100x133"]
    assert main([*words, "--see", str(see), "-o", str(tmp_path / "eye.canthus")]) == 0
    assert "22 volunteers' eyes" in " ".join(capsys.readouterr().err.split())
    bundle = canthus.read_bundle(tmp_path / "eye.canthus")
    assert bundle.manifest.eye.volunteers == 22 and bundle.manifest.eye.held == 6
    training = open_see(see, "training")
    with Steps().step("again") as step:
        again = learn(training, {f"{number:03}" for number in range(0, 28, 5)}, step)
    assert again.check.to_bytes() == bundle.read(MEMBER) and again.eye == bundle.manifest.eye


def test_too_few_are_said(small_checkpoint, calibration_see, tmp_path, capsys):
    annotation = str(calibration_see / "emotion.json")
    words = ["export", str(small_checkpoint), "--annotation", annotation, "--image-size", "100x133"]
    assert main([*words, "--see", str(calibration_see), "-o", str(tmp_path / "eye.canthus")]) == 0
    assert "to learn how an eye looks takes 200 sequences" in " ".join(capsys.readouterr().err.split())
    assert canthus.read_bundle(tmp_path / "eye.canthus").manifest.eye is None
