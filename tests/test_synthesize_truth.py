"""What a recording shows, and when: written as truth beside it, in other lights, and where there is no eye."""

import json
from itertools import pairwise

import numpy as np
import pytest

from canthus.cli import main
from canthus_model.synthesize import no_eye
from canthus_model.synthesize.anatomy import CANVAS
from canthus_model.synthesize.lighting import Light, pupil
from canthus_model.synthesize.no_eye import KINDS, draw_interruptions
from canthus_model.synthesize.simulation import FIRST_TIME
from canthus_model.synthesize.take import parade
from canthus_model.synthesize.truth import truth_of


def test_the_truth_is_what_is_shown():
    take = parade(3, 20)
    truth, stage = truth_of(take), take.stage()
    assert [one["label"] for one in truth["expressions"]] == list(take.labels)
    for one in truth["expressions"]:
        onset, apex, offset, until = (
            (one[name] - FIRST_TIME) * 1e-6 for name in ("onset_us", "apex_us", "offset_us", "until_us")
        )
        assert onset < apex <= offset < until
        assert np.allclose(stage.expression.at(onset), 0) and np.allclose(stage.expression.at(until), 0)
        np.testing.assert_allclose(stage.expression.at(apex), stage.expression.at(offset))
    for blink in truth["blinks"]:
        begin, end = ((blink[name] - FIRST_TIME) * 1e-6 for name in ("from_us", "until_us"))
        assert stage.motion.pose(begin).closure < 1e-9 and stage.motion.pose(end).closure < 1e-9
        assert max(stage.motion.pose(time).closure for time in np.linspace(begin, end, 50)) > 0.98
    assert truth["no_eye"] == [] and truth["lighting"] == [{"from_us": FIRST_TIME, "lighting": "normal"}]


def test_all_else_is_as_it_was_where_light_or_view_change():
    plain, changed = parade(3, 20), parade(3, 20, "normal", "Low", no_eye=True)
    one, other = truth_of(plain), truth_of(changed)
    assert one["expressions"] == other["expressions"] and one["blinks"] == other["blinks"]
    assert [entry["lighting"] for entry in other["lighting"]] == ["normal", "Low"]
    assert other["lighting"][1]["from_us"] == FIRST_TIME + 10_000_000
    before = min(one["from_us"] for one in other["no_eye"]) - FIRST_TIME
    np.testing.assert_array_equal(
        plain.stage().scene.luminance(before * 1e-6 - 0.1), changed.stage().scene.luminance(before * 1e-6 - 0.1)
    )


def test_interruptions_lie_apart_and_are_of_every_kind():
    found = draw_interruptions(60, np.random.default_rng(0))
    assert {one.what for one in found} == set(KINDS) and len(found) >= 5
    assert all(one.end + 3.9 < other.begin for one, other in pairwise(found))
    assert all(one.begin >= 2 and one.end < 58 and 2 <= one.end - one.begin <= 4 for one in found)
    assert draw_interruptions(3, np.random.default_rng(0)) == []


def test_the_eye_is_gone_and_comes_back():
    take = parade(3, 30, no_eye=True)
    stage, plain = take.stage(), parade(3, 30).stage()
    assert {one.what for one in stage.interruptions} == set(KINDS)
    for one in stage.interruptions:
        middle = (one.begin + one.end) / 2
        here, there = stage.scene.luminance(middle), plain.scene.luminance(middle)
        assert here.shape == there.shape and here.dtype == np.float32 and here.min() >= 0
        alike = np.corrcoef(here.ravel(), there.ravel())[0, 1]
        assert alike < 0.7, (one.what, alike)
        for time in (one.begin, one.end):
            np.testing.assert_array_equal(stage.scene.luminance(time), plain.scene.luminance(time))
        # It comes and goes without a jump.
        for time in (one.begin + 0.001, one.end - 0.001):
            assert np.abs(stage.scene.luminance(time) - plain.scene.luminance(time)).max() < 0.02
        assert stage.scene.speed(one.begin + no_eye.MOVING / 2) > 1000


def test_light_turns_smoothly_from_one_into_another():
    one, other = np.full(CANVAS, 1.0, np.float32), np.full(CANVAS, 0.01, np.float32)
    light = Light(one, other, 5.0)
    assert light.at(5.0) is one and light.at(5.0 + Light.TURNING) is other
    assert light.at(5.0 + Light.TURNING / 2)[0, 0] == pytest.approx(0.1)
    assert light.speed(4.9) == 0 < light.speed(5.1)
    assert Light(one).at(1e9) is one


def test_a_pupil_opens_slower_than_it_closes():
    closing, opening = pupil([0.6, 0.3], 5.0), pupil([0.3, 0.6], 5.0)
    assert closing.at(5.0) == 0.6 and closing.at(6.1) == 0.3
    assert opening.at(6.1) < 0.45 and opening.at(8.3) == 0.6


def test_the_command_writes_it(tmp_path, capsys):
    pytest.importorskip("dv_processing", reason="AEDAT4 needs dv-processing")
    out, truth = tmp_path / "eye.aedat4", tmp_path / "eye.json"
    words = [str(out), "--seconds", "0.4", "--lighting", "Low,HDR", "--truth", str(truth)]
    assert main(["synthesize", *words]) == 0
    assert str(truth) in capsys.readouterr().out
    assert json.loads(truth.read_text()) == truth_of(parade(0, 0.4, "Low", "HDR"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["eye.aedat4", "eye.json"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{}/eye.aedat4", "--lighting", "dark"], "give one of normal, Overexposed, Low, HDR"),
        (["{}/eye.aedat4", "--lighting", "Low,HDR,Low"], "or two of them"),
        (["{}/eye.aedat4", "--truth", "{}/none/eye.json"], "not a file in an existing folder"),
        (["{}/SEE", "--like", "see", "--no-eye"], "--no-eye: for a recording"),
        (["{}/SEE", "--like", "see", "--truth", "{}/eye.json"], "--truth: for a recording"),
    ],
)
def test_wrong_use_is_refused(tmp_path, capsys, words, message):
    assert main(["synthesize", *(word.format(tmp_path) for word in words)]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert list(tmp_path.iterdir()) == []
