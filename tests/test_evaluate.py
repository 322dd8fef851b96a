"""Evaluating a model: the protocol, checkpoints and bundles, what is written, what is refused."""

import json
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

import canthus
from canthus.cli import main
from canthus_model.config import LABELS
from canthus_model.evaluate.figures import figures
from canthus_model.evaluate.models import BundleModel, open_model
from canthus_model.evaluate.results import read_results
from canthus_model.evaluate.runs import evaluate
from canthus_model.see.clips import random_clip
from canthus_model.see.dataset import open_see
from canthus_model.see.moments import Clips
from see_folder import make_see


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_see(tmp_path_factory.mktemp("data") / "SEE", size=(64, 64))


@pytest.fixture(scope="module")
def see(folder):
    return open_see(folder, "testing")


@pytest.fixture
def own_folder(folder, tmp_path):
    """A copy of the data set, to be damaged."""
    return shutil.copytree(folder, tmp_path / "SEE")


class Recorder:
    """Answers with what it has seen: the place of each label as probability, or what it is told."""

    def __init__(self, answer=None):
        self.answer, self.batches = answer, []

    def probabilities(self, frame, event):
        self.batches.append((frame, event))
        return self.answer if self.answer is not None else np.eye(7)[np.arange(len(frame)) % 7]


class SeesTheBar:
    """Reads a label from the bright bar of `make_see`'s frames; right always, without any training."""

    def probabilities(self, frame, event):
        columns = frame[:, 1].mean(1)  # (B, 100); the bars are 8 of 64 pixels wide
        centres = [round((n * 8 + 4) * 100 / 64) for n in range(7)]
        return np.eye(7)[columns[:, centres].argmax(1)]


def test_a_model_that_is_right(see):
    found = figures(evaluate(SeesTheBar(), see, runs=2, workers=0))
    assert found.war.runs == found.uar.runs == (100, 100)
    assert found.war.sequences == 8


def test_processes_and_batches_change_nothing(see):
    one = evaluate(SeesTheBar(), see, runs=3, batch=32, workers=0)
    told = []
    assert evaluate(SeesTheBar(), see, runs=3, batch=3, workers=2, report=lambda *done: told.append(done)) == one
    assert told[-1][0] == told[-1][1] <= 24


def test_each_run_is_of_the_clips_drawn_for_it(see):
    class Mean:
        def probabilities(self, frame, event):
            return np.repeat(frame.mean((1, 2, 3))[:, None] / 255 + event.std((1, 2, 3))[:, None], 7, 1)

    runs = evaluate(Mean(), see, runs=6, seed=5, batch=4, workers=0)
    clips = Clips(see, seed=5)
    for turn, run in enumerate(runs):
        assert list(run) == [sequence.name for sequence in see.sequences]
        for index, scores in enumerate(run.values()):
            sample = clips[turn, index]
            mean = Mean().probabilities(sample.frame[None].numpy(), sample.event[None].numpy())
            assert next(iter(scores.values())) == mean[0, 0]
    assert runs[0] != runs[1]


def test_a_clip_drawn_twice_is_shown_once(see):
    model = Recorder()
    evaluate(model, see, runs=40, workers=0)
    drawn = {
        (index, random_clip((0, 24), np.random.default_rng([0, turn, index])))
        for turn in range(40)
        for index in range(8)
    }
    assert sum(len(frame) for frame, _ in model.batches) == len(drawn) < 8 * 40 / 2
    frame, event = model.batches[0]
    assert frame.dtype == event.dtype == np.uint8 and frame.shape == event.shape == (32, 2, 100, 100)


def test_answers_that_cant_be_used(see):
    for answer, message in (
        (np.zeros((8, 6)), r"shape \(8, 6\), not \(8, 7\)"),
        (np.zeros(7), r"shape \(7,\)"),
        (np.full((8, 7), np.nan), "NaN or infinity"),
    ):
        with pytest.raises(canthus.EvaluationError, match=message):
            evaluate(Recorder(answer), see, runs=1, workers=0)


def test_checkpoint_and_bundle_are_evaluated_and_agree(folder, small_checkpoint, small_bundle, tmp_path, capsys):
    results = []
    for model, prefix in ((small_checkpoint, "test_epoch_1_"), (small_bundle, "test_")):
        output = tmp_path / model.suffix.strip(".")
        assert main(["evaluate", str(model), str(folder), "--runs", "2", "-o", str(output), "--workers", "0"]) == 0
        names = {path.name for path in output.iterdir()}
        assert names == {f"{prefix}1.json", f"{prefix}2.json", "figures.json", "confusion.png"}
        results.append(read_results(output))
        published = json.loads((output / f"{prefix}1.json").read_text())["results"]
        for entries in published.values():
            assert {entry["label"] for entry in entries} == set(LABELS)
            assert [entry["score"] for entry in entries] == sorted((e["score"] for e in entries), reverse=True)
        numbers = json.loads((output / "figures.json").read_text())
        assert numbers["model"] == model.name and numbers["seed"] == 0 and numbers["runs"] == 2
    out = capsys.readouterr().out
    assert out.count("2 runs over 8 sequences") == 2
    for run, of_bundle in zip(*results, strict=True):
        for name, scores in run.items():
            assert sum(scores.values()) == pytest.approx(1, abs=1e-5)
            assert next(iter(scores)) == next(iter(of_bundle[name]))
            assert of_bundle[name] == pytest.approx(scores, abs=1e-3)
    answers = [list(scores.values()) for scores in results[0][0].values()]
    assert np.std(answers, axis=0).max() > 1e-4  # the network isn't blind to what it is shown


def test_moments_are_given_to_a_bundle_in_order(small_checkpoint, small_bundle):
    random = np.random.default_rng(0)
    frame, event = random.integers(0, 256, (2, 3, 2, 100, 100), np.uint8)
    of_checkpoint, of_bundle = (
        open_model(path, LABELS, (100, 100)).probabilities(frame, event) for path in (small_checkpoint, small_bundle)
    )
    assert of_checkpoint.shape == (3, 7)
    assert of_bundle == pytest.approx(of_checkpoint, abs=1e-3)
    swapped = open_model(small_bundle, LABELS, (100, 100)).probabilities(frame[:, ::-1], event[:, ::-1])
    assert swapped != pytest.approx(of_bundle, abs=1e-3)


def test_labels_of_a_bundle_are_put_into_the_order_of_the_data_set(small_bundle):
    engine = canthus.load(small_bundle)
    frame, event = np.random.default_rng(0).integers(0, 256, (2, 3, 2, 100, 100), np.uint8)
    plain = BundleModel(engine, LABELS).probabilities(frame, event)
    mapped = BundleModel(engine, LABELS[2:] + LABELS[:2]).probabilities(frame, event)
    assert (mapped == np.roll(plain, -2, axis=1)).all() and (mapped != plain).any()


def test_labels_of_a_checkpoint_are_put_into_the_order_of_the_data_set(small_network, tmp_path):
    plain, own = tmp_path / "plain.pth", tmp_path / "own.pth"
    content = {"epoch": 1, "state_dict": small_network.state_dict()}
    torch.save(content, plain)
    torch.save(content | {"canthus": {"labels": list(LABELS[::-1]), "image_size": [100, 100]}}, own)
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 2, 100, 100), np.uint8)
    by_place, by_name = (open_model(path, LABELS, (100, 100)).probabilities(*images) for path in (plain, own))
    assert np.array_equal(by_name, by_place[:, ::-1])
    with pytest.raises(canthus.CheckpointError, match=r"own\.pth: takes images of 100x100 .* data set are 100x133"):
        open_model(own, LABELS, (100, 133))
    with pytest.raises(canthus.CheckpointError, match="and the data set bored"):
        open_model(own, ("bored", *LABELS[1:]), (100, 100))


def test_bundles_that_dont_fit_the_data_set(small_bundle):
    with pytest.raises(canthus.BundleError, match=r"100x100 pixels.* 100x133; .*canthus export --image-size 100x133"):
        open_model(small_bundle, LABELS, (100, 133))
    with pytest.raises(canthus.BundleError, match=r"and the data set angry, disgust, .*bored"):
        open_model(small_bundle, (*LABELS[:6], "bored"), (100, 100))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("eye.onnx", "neither a checkpoint (.pth) nor a bundle (.canthus)"),
        ("none.pth", "none.pth: no such file"),
        ("junk.pth", "not a checkpoint, or a damaged one"),
        ("junk.canthus", "not a canthus bundle"),
    ],
)
def test_what_isnt_a_model(folder, tmp_path, capsys, model, message):
    if not model.startswith("none"):
        (tmp_path / model).write_bytes(b"junk")
    assert main(["evaluate", str(tmp_path / model), str(folder), "-o", str(tmp_path / "new")]) == 2
    out, error = capsys.readouterr()
    assert message in error and "Traceback" not in error and out == ""
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("workers", ["0", "1"])
def test_an_image_that_cant_be_decoded_in_any_process(own_folder, small_bundle, capsys, workers):
    for path in open_see(own_folder, "testing").sequences[5].images():
        content = bytearray(path.read_bytes())
        content[2:60] = bytes(58)
        path.write_bytes(content)
    assert main(["evaluate", str(small_bundle), str(own_folder), "--runs", "1", "--workers", workers]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("canthus: error: ") and ".jpg: not a readable image" in error


def test_a_decoding_process_that_is_ended(see, monkeypatch):
    monkeypatch.setattr("canthus_model.see.batches._decode", lambda clips, keys: os._exit(1))
    with pytest.raises(canthus.DataSetError, match=r"decoding in 1 processes failed .*take fewer of them, or 0"):
        evaluate(SeesTheBar(), see, runs=1, workers=1)


def test_annotations_that_the_names_contradict(see):
    sequences = [replace(s, entry=replace(s.entry, label="angry")) for s in see.sequences]
    with pytest.raises(canthus.DataSetError, match=r"7 × annotated with another emotion .*: 'angry' of 9_008"):
        evaluate(SeesTheBar(), replace(see, sequences=tuple(sequences)), workers=0)


def test_labels_that_arent_those_of_see(see):
    with pytest.raises(canthus.DataSetError, match="its labels are bored"):
        evaluate(SeesTheBar(), replace(see, labels=("bored", *LABELS[1:])), workers=0)


def test_results_of_two_evaluations_never_mix(folder, small_checkpoint, tmp_path, capsys):
    (tmp_path / "figures.json").write_text("{}")
    assert main(["evaluate", str(small_checkpoint), str(folder), "-o", str(tmp_path)]) == 2
    assert "holds 'figures.json' already, and results don't mix" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give MODEL and SEE, or --results DIR"),
        (["a.pth"], "give MODEL and SEE"),
        (["a.pth", "SEE", "--results", "r"], "takes no MODEL"),
        (["--results", "r", "--seed", "0"], "takes no --seed"),
    ],
)
def test_arguments_that_dont_go_together(arguments, message, capsys):
    assert main(["evaluate", *arguments]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--runs=0", "--runs=x", "--seed=-1", "--batch=0", "--workers=65", "--threads=²"])
def test_numbers_out_of_range(option, capsys):
    with pytest.raises(SystemExit) as raised:
        main(["evaluate", "a.pth", "SEE", option])
    assert raised.value.code == 2
    assert "is not a whole number from" in capsys.readouterr().err
