"""Does a network use all of itself: what is taken away, what follows from it, and where nothing does."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import canthus
from canthus._native import EventWindow
from canthus.cli import main
from canthus.parts import ENCODERS
from canthus_model.config import LABELS, NO_EVENT
from canthus_model.evaluate.ablation.encoded import encode_clips
from canthus_model.evaluate.ablation.experts import count_experts
from canthus_model.evaluate.ablation.findings import find, judge
from canthus_model.evaluate.ablation.measure import ablate
from canthus_model.evaluate.ablation.models import open_parts
from canthus_model.evaluate.ablation.others import draw_again, draw_others
from canthus_model.evaluate.ablation.panel import Estimate, Panel, estimate
from canthus_model.evaluate.ablation.rows import Ablation, Taken, measure_row
from canthus_model.evaluate.ablation.shown import EVENTS, FRAMES, LAST_MOMENT
from canthus_model.evaluate.ablation.table import tables
from canthus_model.evaluate.ablation.without import deaf_mamba, without_attention, without_mamba
from canthus_model.evaluate.figures import figures
from canthus_model.evaluate.models import open_model
from canthus_model.evaluate.runs import evaluate
from canthus_model.see.dataset import open_see
from canthus_model.see.names import LIGHTINGS, SequenceName
from see_folder import make_see
from sees_the_bar import SeesTheBar


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_see(tmp_path_factory.mktemp("data") / "SEE", sequences=35, frames=14, size=(64, 64))


@pytest.fixture(scope="module")
def see(folder):
    return open_see(folder, "testing")


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    return make_see(tmp_path_factory.mktemp("few") / "SEE", size=(64, 64))


def name(number, volunteer, lighting="normal", emotion="fear"):
    return SequenceName.parse(f"{number}_{volunteer:03}_man_24_Master_{lighting}_{emotion}_45_take000")


def ablated(model, see, runs=3, **options):
    encoded = encode_clips(model, see, runs=runs, seed=0, batch=16, workers=0)
    return ablate(model, see, encoded, **options)


def verdicts(found):
    return {finding.about: finding.verdict for finding in found.findings}


def sentence(found, about):
    return next(finding.sentence for finding in found.findings if finding.about == about)


# What follows.


def test_a_model_that_looks_at_frames_alone(see):
    found = ablated(SeesTheBar("first_frame", "last_frame"), see)
    told = verdicts(found)
    assert told["the frames"] == "used" and told["the events"] == "ignored"
    assert sentence(found, "the events") == (
        "the events are ignored: with those of other clips 0.0 % of the labels change "
        "(another clip of the same sequence changes 0.0 %), and UAR goes from 100.0 to 100.0"
    )
    for row in ("everything", "another clip of the sequence", "events of others", "no events"):
        assert found.rows[row].uar.value == found.rows[row].same.value == 100
    assert found.rows["frames of others"].uar.value < 40
    assert found.rows["black frames"].uar.value == pytest.approx(100 / 7)  # of a black frame all bars are the brightest


def test_only_what_is_asked_for_is_taken_away(see):
    model = SeesTheBar(*ENCODERS)
    encoded = encode_clips(model, see, runs=3, seed=0, batch=16, workers=0)
    given = ["everything", "another clip of the sequence"]
    found = ablate(model, see, encoded, halves=(EVENTS,))
    assert list(found.rows) == [*given, "events of others", "no events"]
    found = ablate(model, see, replace(encoded, nothing=None), halves=(FRAMES, LAST_MOMENT))
    assert list(found.rows) == [*given, "frames of others", "last moment of others"]


def test_a_model_that_looks_at_the_last_moment_alone(see):
    told = verdicts(ablated(SeesTheBar("last_frame", "last_event"), see))
    assert told["the last moment"] == "used" and told["the first moment"] == "ignored"


@pytest.mark.parametrize(
    ("beyond", "lost", "verdict"),
    [
        ((-17, -20, -15), (0.4, -0.5, 1.3), "ignored"),
        ((-17, -20, -15), (0.4, 0.1, 0.9), "ignored"),  # it costs something, and next to nothing
        ((-17, -20, -15), (1.5, -0.5, 3), "undecided"),  # it may cost more than nothing
        ((-17, -20, -15), (3, 1, 5), "used"),  # fewer labels than another clip changes, and dear ones
        ((60, 40, 80), (0, -1, 1), "used"),
        ((5, -1, 11), (0, -1, 1), "undecided"),
        ((0, 0, 0), (0, 0, 0), "ignored"),
    ],
)
def test_verdicts(beyond, lost, verdict):
    assert judge(Estimate(*beyond), Estimate(*lost)) == verdict


def test_what_is_used_under_one_lighting_alone():
    """The same number of answers is spoilt in the dark alone, and under all lightings: only in the dark is it much."""
    names = [name(n, n % 20, LIGHTINGS[n // 70], LABELS[n % 7]) for n in range(280)]
    panel, sure = Panel(names), np.ones((20, 280), bool)
    unsteady = np.broadcast_to(np.arange(20)[:, None] > 3, sure.shape)

    def found(*spoilt):
        right = sure.copy()
        right[spoilt] = False
        rows = [
            measure_row(Taken("everything"), panel, sure, sure),
            measure_row(Taken("another clip of the sequence"), panel, sure, unsteady),
            measure_row(Taken("frames of others", "the frames", plural=True), panel, right, right),
        ]
        experts = count_experts(np.ones((20, 280, 8), bool), names)
        return find(Ablation(20, 280, 20, panel.chance, {row.name: row for row in rows}, experts))[0]

    assert found(0, np.arange(280) // 20 % 4 == 0).verdict == "ignored"
    assert found(0, slice(140, 210)).sentence == (
        "the frames are used, but only in Low (100.0 to 95.0): with those of other clips 1.3 % of the labels change "
        "(another clip of the same sequence changes 20.0 %), and UAR goes from 100.0 to 98.8"
    )


def test_nothing_follows_from_few(few):
    found = ablated(SeesTheBar(*ENCODERS), open_see(few, "testing"))
    assert set(verdicts(found)) == {"all", "the experts"} and verdicts(found)["all"] == "unknown"
    assert "nothing follows: 8 sequences of 8 volunteers are too few; take 30 or more, of 3 or more" in tables(found)


def test_nothing_follows_from_two_volunteers(see):
    found = ablated(SeesTheBar(*ENCODERS), of_volunteers(see, 2))
    assert "35 sequences of 2 volunteers are too few" in sentence(found, "all")


def test_few_volunteers_are_told(see):
    assert "± rests on 4 volunteers alone: it is rough" in tables(ablated(SeesTheBar(*ENCODERS), of_volunteers(see, 4)))
    assert "rough" not in tables(ablated(SeesTheBar(*ENCODERS), see))


def of_volunteers(see, count):
    """The same sequences, as if they were of fewer volunteers."""
    parts = [replace(s.entry.parts, volunteer=f"{n % count:03}") for n, s in enumerate(see.sequences)]
    entries = [replace(s.entry, parts=part) for s, part in zip(see.sequences, parts, strict=True)]
    return replace(see, sequences=tuple(replace(s, entry=e) for s, e in zip(see.sequences, entries, strict=True)))


def test_nothing_follows_of_a_network_that_knows_nothing(see):
    class Blind(SeesTheBar):
        def answer(self, features):
            return super().answer(features)._replace(label=np.zeros(len(features["last_frame"]), int))

    found = ablated(Blind(*ENCODERS), see)
    assert "has a UAR of 14.3" in sentence(found, "all") and "knowing nothing would give 14.3" in sentence(found, "all")


def test_nothing_follows_about_a_modality_that_shows_nothing(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "SEE")
    grey = Image.new("L", (64, 64), NO_EVENT)
    for path in (copy / "event").rglob("*.jpg"):
        grey.save(path)
    found = ablated(SeesTheBar("first_frame", "last_frame"), open_see(copy, "testing"))
    assert verdicts(found)["the events"] == "unknown" and verdicts(found)["the frames"] == "used"
    assert sentence(found, "the events") == (
        "the events of this data set are all of one grey: nothing follows about them"
    )


def test_experts_that_are_never_asked(see):
    found = ablated(SeesTheBar(*ENCODERS, experts=(0, 2, 3, 6)), see)
    assert verdicts(found)["the experts"] == "ignored"
    assert sentence(found, "the experts") == (
        "experts 1, 4, 5 and 7 are never asked, at 105 clips; 4 of the 8 experts make 90 % of all choices"
    )
    assert sentence(ablated(SeesTheBar(*ENCODERS), see), "the experts").startswith("every expert is asked; ")


def test_experts_by_hand():
    asked = np.zeros((2, 2, 8), bool)  # two runs of two sequences
    asked[:, 0, [3, 6]] = asked[0, 1, [3, 4]] = asked[1, 1, [4, 6]] = True
    found = count_experts(asked, [name(1, 1, "Low", "fear"), name(2, 2, "HDR", "angry")])
    assert found.overall.tolist() == [0, 0, 0, 75, 50, 0, 75, 0]
    assert found.by["fear"].tolist() == found.by["Low"].tolist() == [0, 0, 0, 100, 0, 0, 100, 0]
    assert found.by["angry"].tolist() == found.by["HDR"].tolist() == [0, 0, 0, 50, 100, 0, 50, 0]
    assert list(found.by) == ["angry", "fear", "Low", "HDR"]
    assert found.never == [0, 1, 2, 5, 7] and found.making_most == 3 and found.answers == 4


# Whose images are shown instead.


def test_others_are_of_the_same_lighting_and_another_volunteer(see):
    names = [s.entry.parts for s in of_volunteers(see, 3).sequences]
    drawn = draw_others(names, runs=20, seed=1)
    assert drawn.shape == (20, 35) and (drawn == draw_others(names, runs=20, seed=1)).all()
    assert (drawn != draw_others(names, runs=20, seed=2)).any() and (drawn[0] != drawn[1]).any()
    for row in drawn:
        for own, other in zip(names, row, strict=True):
            assert names[other].lighting == own.lighting and names[other].volunteer != own.volunteer


def test_others_where_there_is_no_such(see):
    of_one = [name(1, 1, "Low"), name(2, 1, "Low"), name(3, 1, "HDR")]
    assert draw_others(of_one, 1, 0)[0, :2].tolist() == [1, 0]  # of the same lighting
    of_each = [name(1, 1, "Low"), name(2, 1, "HDR"), name(3, 2, "normal")]
    assert draw_others(of_each, 1, 0)[0, :2].tolist() == [2, 2]  # of another volunteer
    assert draw_others([name(1, 1, "Low"), name(2, 1, "HDR")], 1, 0).tolist() == [[1, 0]]
    with pytest.raises(canthus.EvaluationError, match="one sequence alone"):
        draw_others(of_one[:1], 1, 0)


def test_another_clip_of_the_sequence_is_another_one_where_there_is_one():
    clips = np.array([[0, 5, 7], [0, 5, 8], [1, 5, 9]])
    assert draw_again(clips).tolist() == [[1, 5, 8], [1, 5, 9], [0, 5, 7]]


def test_without_events_an_image_is_what_a_stream_shows(see):
    assert (EventWindow(4, 3).image(0, 33_000) == NO_EVENT).all()
    model = SeesTheBar(*ENCODERS)
    encode_clips(model, see, runs=1, seed=0, batch=16, workers=0)
    frame, event = model.shown[-1]
    assert frame.shape == event.shape == (1, 2, 100, 100)
    assert (frame == 0).all() and (event == NO_EVENT).all()


def test_each_clip_is_encoded_once(see):
    model = SeesTheBar(*ENCODERS)
    encoded = encode_clips(model, see, runs=40, seed=0, batch=16, workers=0)
    assert sum(len(frame) for frame, _ in model.shown) == encoded.nothing + 1 < 40 * 35 / 2
    assert encoded.clips.shape == (40, 35) and encoded.clips.max() == encoded.nothing - 1
    for column in encoded.clips.T:  # no clip is of two sequences
        assert np.isin(encoded.clips, column).sum() == 40


# How sure one may be.


def test_uar_and_its_interval_by_hand():
    names = [
        name(1, 1, "Low", "fear"),
        name(2, 1, "Low", "angry"),
        name(3, 2, "HDR", "fear"),
        name(4, 2, "HDR", "fear"),
    ]
    panel = Panel(names)
    right = np.array([[1, 1, 1, 0], [1, 0, 0, 0]], bool)
    uar = estimate(panel.uar(right))
    assert uar.value == 50
    assert uar.low == 25 and uar.high == 75  # of volunteer 2 alone, of whom there is no angry one; of volunteer 1 alone
    assert uar.half == 25 and str(uar) == "50.0 ± 25.0"
    assert estimate(panel.uar(right, "Low")).value == 75 and estimate(panel.uar(right, "Low")).low == 75
    assert estimate(panel.uar(right, "normal")).value is None and str(estimate(panel.uar(right, "normal"))) == "–"
    assert estimate(panel.share(right)).value == 50
    assert panel.volunteers == 2 and panel.chance == 50
    assert str(estimate(Panel(names[:2]).uar(right[:, :2]))) == "75.0"  # of one volunteer there is no interval


def test_an_interval_holds_95_percent():
    panel = Panel([name(number, number) for number in range(1, 401)])
    half = np.arange(400)[None] % 2 == 0
    assert estimate(panel.share(half)).half == pytest.approx(1.96 * 50 / 20, rel=0.06)  # of a share among 400


# Real networks.


def test_everything_is_what_evaluate_finds(few, small_checkpoint, small_bundle):
    see = open_see(few, "testing")
    for path in (small_checkpoint, small_bundle):
        found = ablated(open_parts(path, LABELS, (100, 100)), see, runs=3)
        usual = figures(evaluate(open_model(path, LABELS, (100, 100)), see, runs=3, workers=0))
        assert found.rows["everything"].uar.value == pytest.approx(usual.uar.mean)
        for lighting in LIGHTINGS:
            assert found.rows["everything"].lighting_uar[lighting].value == pytest.approx(
                usual.lighting_uar[lighting].mean
            )
        assert ("without MCO-Mamba" in found.rows) == (path == small_checkpoint)
        assert found.experts.overall.sum() == pytest.approx(200)


def test_labels_are_put_into_the_order_of_the_data_set(small_checkpoint, small_bundle):
    images = np.random.default_rng(0).integers(0, 256, (2, 8, 2, 100, 100), np.uint8)
    for path in (small_checkpoint, small_bundle):
        model = open_parts(path, LABELS, (100, 100))
        expected = open_model(path, LABELS, (100, 100)).probabilities(*images).argmax(1)
        assert (model.answer(model.encode(*images)).label == expected).all()
    turned = open_parts(small_bundle, LABELS[2:] + LABELS[:2], (100, 100))
    assert (turned.answer(turned.encode(*images)).label == (expected - 2) % 7).all()


def test_a_network_without_a_part_and_afterwards_whole(small_network):
    frame, event = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 3, 2, 100, 100), np.uint8))
    whole = small_network.stages(frame, event)
    tokens = [torch.cat((whole[f"first_{m}"], whole[f"last_{m}"]), 1).view(3, 100, 4) for m in ("frame", "event")]

    with without_mamba(small_network):
        out = small_network.stages(frame, event)
        assert not out["mco_frame"].any() and not out["mco_event"].any()
        assert torch.equal(out["mcib"], small_network.MCIB(*tokens)) and not torch.equal(out["mcib"], whole["mcib"])
    with without_attention(small_network):
        out = small_network.stages(frame, event)
        joined = [out[f"mco_{m}"] + t for m, t in zip(("frame", "event"), tokens, strict=True)]
        mean = (small_network.MCIB.proj_rgb(joined[0]) + small_network.MCIB.proj_event(joined[1])) / 2
        assert torch.allclose(out["mcib"], mean) and not torch.allclose(whole["mcib"], mean)
    with deaf_mamba(small_network):
        plain = small_network.MCO(*tokens)
        others = small_network.MCO(tokens[0], tokens[1].flip(0)), small_network.MCO(tokens[0].flip(0), tokens[1])
        assert torch.equal(others[0][0], plain[0]) and torch.equal(others[1][1], plain[1])
        assert not torch.equal(others[0][1], plain[1]) and not torch.allclose(plain[0], whole["mco_frame"])
    assert not torch.equal(small_network.MCO(tokens[0], tokens[1].flip(0))[0], whole["mco_frame"])

    with pytest.raises(ZeroDivisionError), without_mamba(small_network):
        raise ZeroDivisionError
    again = small_network.stages(frame, event)
    assert all(torch.equal(again[name], whole[name]) for name in whole)


# The command.


def test_the_command(few, small_checkpoint, tmp_path, capsys):
    output = tmp_path / "new"
    asked = ["evaluate", str(small_checkpoint), str(few), "--ablate", "--runs", "2", "--workers", "0"]
    assert main([*asked, "-o", str(output)]) == 0
    out = capsys.readouterr().out
    assert "2 drawings of 8 sequences of 8 volunteers" in out and "nothing follows: " in out
    assert max(map(len, out.splitlines()[:-1])) <= 110
    for row in ("everything", "frames of others", "no events", "last moment of others", "without MCIB's attention"):
        assert any(line.startswith(row) for line in out.splitlines())
    assert {path.name for path in output.iterdir()} == {"ablation.json", "ablation.png"}
    with Image.open(output / "ablation.png") as picture:
        assert min(picture.size) > 600
    assert main([*asked, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((output / "ablation.json").read_text())
    assert printed["model"] == "small.pth" and printed["epoch"] == 1 and printed["seed"] == 0
    assert set(printed["shown"]) | set(printed["network"]) >= {"everything", "black frames", "without MCO-Mamba"}
    assert printed["shown"]["everything"]["same_label"] == {"value": 100, "low": 100, "high": 100}
    assert len(printed["experts"]["all"]) == 8 and printed["findings"][0]["verdict"] == "unknown"
    assert main([*asked, "-o", str(output)]) == 2  # results don't mix
    assert "holds 'ablation.json' already" in capsys.readouterr().err


def test_a_data_set_of_one_modality_is_refused(few, small_bundle, tmp_path, capsys):
    shutil.copytree(few, tmp_path / "SEE", ignore=shutil.ignore_patterns("event"))
    assert main(["evaluate", str(small_bundle), str(tmp_path / "SEE"), "--ablate"]) == 2
    assert "SEE: has frames but no event images, no folder event/" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.pth", "SEE", "--ablate", "--runs", "1"], "give it --runs 2 or more"),
        (["--results", "r", "--ablate"], "--ablate asks a model, and --results has none"),
        (["a.pth", "SEE", "--ablate"], "a.pth: no such file"),
    ],
)
def test_what_cant_be_ablated(arguments, message, capsys):
    assert main(["evaluate", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_features_that_arent_finite(see):
    class Broken(SeesTheBar):
        def encode(self, frame, event):
            return {**super().encode(frame, event), "last_event": np.full((len(frame), 7), np.nan, np.float32)}

    with pytest.raises(canthus.EvaluationError, match="an encoder of the model gave NaN or infinity"):
        ablated(Broken(*ENCODERS), see)
