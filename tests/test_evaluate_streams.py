"""Recordings whose truth is known: what the figures are of answers that are known, and what is refused."""

import json

import numpy as np
import pytest

from canthus.cli import main
from canthus.episodes import Episode
from canthus.errors import EvaluationError
from canthus_model.evaluate.streams.answers import Answers
from canthus_model.evaluate.streams.score import Score
from canthus_model.evaluate.streams.table import table
from canthus_model.evaluate.streams.truth import Shown, Span, Truth, find_recordings, read_truth

SECOND = 1_000_000
FRAME_US = 50_000  # twenty answers a second

TRUTH = Truth(
    expressions=(
        Shown("neutral", 0, 4 * SECOND),
        Shown("fear", 4 * SECOND, 8 * SECOND),
        Shown("neutral", 8 * SECOND, 12 * SECOND),
    ),
    blinks=(Span(2 * SECOND, 2 * SECOND + 200_000),),
    no_eye=(),
    lightings=((0, "normal"), (6 * SECOND, "Low")),
)


def answers(*said, unsure=None, episodes=()):
    """`said` are (label, from when on in seconds), until twelve seconds are over."""
    times = list(range(0, 12 * SECOND, FRAME_US))
    labels = [[label for label, begin in said if begin * SECOND <= time][-1] for time in times]
    return Answers(
        times, ["angry"] * len(times), labels, [unsure if one is None else None for one in labels], list(episodes)
    )


def score(truth, said):
    found = Score()
    found.add(truth, said)
    return found.as_dict()


def test_answers_that_are_right_but_half_a_second_late():
    found = score(TRUTH, answers(("neutral", 0), ("fear", 4.5), ("neutral", 8.5)))
    steady, raw = (found["lightings"]["all"][kind] for kind in ("steady", "raw"))
    assert steady["wrong"] == pytest.approx(100 / 12) and steady["right"] == pytest.approx(1100 / 12)
    assert (steady["changes"], steady["true_changes"], steady["changes_per_true_change"]) == (2, 2, 1)
    assert steady["onset_delay_ms"] == {"median": 500, "p90": 500} and steady["missed"] == 0
    assert raw["wrong"] == 100 and raw["changes"] == 0 and raw["missed"] == raw["expressions"] == 2
    assert found["lightings"]["normal"]["steady"]["seconds"] == found["lightings"]["Low"]["steady"]["seconds"] == 6
    assert found["lightings"]["Low"]["steady"]["wrong"] == pytest.approx(100 / 12)
    assert "HDR" not in found["lightings"]


def test_what_flickers_is_counted():
    flicker = [(("fear", "neutral")[number % 2], number * 0.5) for number in range(24)]
    assert score(TRUTH, answers(*flicker))["lightings"]["all"]["steady"]["changes_per_true_change"] == 23 / 2


def test_what_steadiness_adds_to_a_delay():
    said = answers(("neutral", 0), ("fear", 4.5), ("neutral", 8.5))
    raw = ["fear" if 4.2 * SECOND <= time < 8.1 * SECOND else "neutral" for time in said.times_us]
    found = score(TRUTH, Answers(said.times_us, raw, said.steady, said.unsure, []))
    assert found["lightings"]["all"]["added_delay_ms"] == {"median": 350, "p90": pytest.approx(390), "onsets": 2}


def test_unsure_is_neither_right_nor_wrong_and_no_change():
    found = score(
        TRUTH, answers(("neutral", 0), (None, 1), ("neutral", 2), ("fear", 4), ("neutral", 8), unsure="too dark")
    )
    steady = found["lightings"]["all"]["steady"]
    assert steady["wrong"] == 0 and steady["unsure"] == pytest.approx(100 / 12) and steady["changes"] == 2
    assert found["unsure"]["too dark"] == 20 and found["no_eye"]["wrongly refused"] == pytest.approx(100 / 12)


def test_without_an_eye_there_is_no_right_answer():
    gone = Truth(TRUTH.expressions, (), (Span(9 * SECOND, 11 * SECOND),), TRUTH.lightings)
    found = score(
        gone, answers(("neutral", 0), ("fear", 4), ("neutral", 8), ("angry", 9.2), (None, 10), unsure="no eye")
    )
    assert found["lightings"]["all"]["steady"]["wrong"] == 0
    assert found["lightings"]["all"]["steady"]["seconds"] == pytest.approx(12 - 2 - 0.9, abs=0.11)
    assert found["no_eye"]["answers"] == 30 and found["no_eye"]["said so within 0.5 s"] == pytest.approx(100 * 20 / 30)


def test_blinks_that_are_told_and_open_eyes_that_are_denied():
    said = answers(("neutral", 0), (None, 2.1), ("neutral", 2.2), (None, 6), ("fear", 6.3), unsure="eye closed")
    found = score(TRUTH, said)
    assert (found["blinks"]["told"], found["blinks"]["shown"]) == (1, 1)
    answers_with_an_open_eye = 240 - 4 - 2  # the blink, and just after it
    assert found["blinks"]["answers with an open eye"] == answers_with_an_open_eye
    assert found["blinks"]["wrongly closed"] == pytest.approx(100 * 6 / answers_with_an_open_eye)
    assert found["no_eye"]["wrongly refused"] == 0
    assert score(TRUTH, answers(("neutral", 0)))["blinks"]["told"] == 0


def test_episodes_that_a_blink_ended_and_that_nobody_showed():
    made = [
        Episode("neutral", 0, 2 * SECOND + 300_000, 1, 1),
        Episode("happiness", 9 * SECOND + 800_000, 11 * SECOND, 1, 1),
    ]
    found = score(TRUTH, answers(("neutral", 0), episodes=made))
    assert (found["blinks"]["shown"], found["blinks"]["episode begun or ended"]) == (1, 1)
    # Three edges have no other reason, and a blink and what comes after takes 0.65 s of the twelve.
    assert found["blinks"]["as often by chance"] == pytest.approx(3 * 0.65 / 12, abs=0.02)
    assert found["episodes"] == {"told": 2, "invented": 1}
    late = [Episode("neutral", 0, 4 * SECOND + 300_000, 1, 1)]  # a change ended it, not the blink
    assert score(TRUTH, answers(("neutral", 0), episodes=late))["blinks"]["episode begun or ended"] == 0


def test_the_table_tells_all_of_it():
    found = Score()
    found.add(TRUTH, answers(("neutral", 0), ("fear", 4.5), ("neutral", 8.5)))
    text = table(found)
    assert all(word in text for word in ("normal", "Low", "steady", "raw", "blinks: 1", "1.00 (2/2)"))


@pytest.fixture(scope="module")
def streams(tmp_path_factory):
    folder = tmp_path_factory.mktemp("streams")
    for seed in (1, 2):
        words = [
            str(folder / f"{seed}.aedat4"),
            "--seconds",
            "1.5",
            "--seed",
            str(seed),
            "--truth",
            str(folder / f"{seed}.json"),
        ]
        assert main(["synthesize", *words]) == 0
    return folder


def test_the_command_plays_a_folder(small_bundle, streams, tmp_path, capsys):
    pytest.importorskip("matplotlib", reason="the picture needs Matplotlib")
    image = pytest.importorskip("PIL.Image")
    words = ["evaluate", str(small_bundle), "--streams", str(streams)]
    capsys.readouterr()
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["recordings"] == 2 and list(found["lightings"]) == ["normal", "all"]
    assert main([*words, "-o", str(tmp_path / "out")]) == 0
    assert "2 recordings" in capsys.readouterr().out
    kept = json.loads((tmp_path / "out" / "streams.json").read_text())
    assert {name: kept[name] for name in found} == found and kept["model"] == small_bundle.name
    assert np.asarray(image.open(tmp_path / "out" / "streams.png")).std() > 10


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["examples/small.pth", "--streams", "{}"], "--streams plays recordings to a bundle"),
        (["--streams", "{}"], "--streams plays recordings to a bundle"),
        (["{bundle}", "SEE", "--streams", "{}"], "leave out SEE"),
        (["{bundle}", "--streams", "{}", "--runs", "3"], "--runs: every recording is played once"),
        (["{bundle}", "--streams", "{}/none"], "no such folder"),
        (["{bundle}", "--streams", "{empty}"], "no recording"),
    ],
)
def test_wrong_use_is_refused(small_bundle, streams, tmp_path, capsys, words, message):
    given = [word.format(streams, bundle=small_bundle, empty=tmp_path) for word in words]
    assert main(["evaluate", *given]) == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_a_recording_without_truth_and_a_truth_that_is_none(streams, tmp_path):
    (tmp_path / "eye.aedat4").write_bytes((streams / "1.aedat4").read_bytes())
    with pytest.raises(EvaluationError, match=r"nothing tells what it shows: eye\.json isn't there"):
        find_recordings(tmp_path)
    good = json.loads((streams / "1.json").read_text())
    broken = [
        [],
        {},
        good | {"expressions": []},
        good | {"expressions": [{"label": "fear", "onset_us": "now", "until_us": 3}]},
        good | {"lighting": [{"from_us": 0, "lighting": "candles"}]},
        good | {"expressions": good["expressions"] + good["expressions"]},
    ]
    for document in broken:
        (tmp_path / "eye.json").write_text(json.dumps(document))
        with pytest.raises(EvaluationError, match=r"eye\.json: not what canthus synthesize --truth writes"):
            find_recordings(tmp_path)
    (tmp_path / "eye.json").write_text("[" * 100_000)
    with pytest.raises(EvaluationError):
        read_truth(tmp_path / "eye.json")
