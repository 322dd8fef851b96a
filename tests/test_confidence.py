"""How sure a network is against how often it is right: measured at export, in the bundle, and made honest by it."""

import json
from dataclasses import replace

import numpy as np
import pytest

import canthus
from canthus.cli import main
from canthus.confidence import COOLEST, HOTTEST, Confidence, Honesty, Temperature
from canthus.engine import Engine
from canthus.manifest import Manifest
from canthus.visible import Visible, contrast, events_share
from canthus_model.evaluate.honesty import honesty, honesty_of_scores

torch = pytest.importorskip("torch")

from canthus_model.evaluate.temperature import fit_temperature  # noqa: E402
from see_folder import make_see  # noqa: E402

LIGHTINGS = ("normal", "Overexposed", "Low", "HDR")


def answers(count, temperature, seed=0):
    """Logits that are `temperature` times too large, the contrast of their frames, and what is so."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (count, 7))
    powers = np.exp(logits)
    probabilities = powers / powers.sum(1, keepdims=True)
    label = (probabilities.cumsum(1) > random.random((count, 1))).argmax(1)
    seen = random.uniform(0, 0.4, count).astype(np.float32)
    return (logits * temperature(seen)[:, None]).astype(np.float32), seen, label


def test_honesty_of_answers_that_are_as_sure_as_they_are_right():
    logits, seen, label = answers(20_000, lambda seen: np.ones_like(seen))
    found = honesty(Temperature().softened(logits, seen), label)
    assert found.error < 1.5 and abs(found.accuracy - found.confidence) < 1
    too_sure = honesty(Temperature(offset=-0.7).softened(logits, seen), label)
    assert too_sure.error > 8 and too_sure.confidence > found.confidence + 8
    assert too_sure.accuracy == found.accuracy
    assert too_sure.brier > found.brier and too_sure.log_loss > found.log_loss


def test_figures_by_hand():
    found = honesty_of_scores(np.array([0.95, 0.95, 0.55, 0.55]), np.array([True, False, True, True]))
    assert (found.clips, found.accuracy, found.confidence) == (4, 75, pytest.approx(75))
    assert found.error == pytest.approx(50 * 0.45 + 50 * 0.45)
    assert found.brier is None
    found = honesty(np.array([[0.5, 0.25, 0.25]]), np.array([1]))
    assert found.brier == pytest.approx(0.25 + 0.75**2 + 0.0625) and found.log_loss == pytest.approx(np.log(4))


@pytest.mark.parametrize(("offset", "slope"), [(0.4, 0.0), (0.1, 2.0), (-0.5, 0.0)])
def test_the_temperature_is_found(offset, slope):
    logits, seen, label = answers(20_000, lambda seen: np.exp(offset + slope * seen))
    found = fit_temperature(logits, seen, label)
    assert found.offset == pytest.approx(offset, abs=0.08)
    assert found.slope == pytest.approx(slope, abs=0.35)


def test_a_temperature_changes_no_answer_and_stays_within_bounds():
    logits, seen, _ = answers(500, lambda seen: np.ones_like(seen))
    for temperature in (Temperature(1.0, 2.0), Temperature(-50, 0), Temperature(50, 0)):
        made = temperature.softened(logits, seen)
        np.testing.assert_array_equal(made.argmax(1), logits.argmax(1))
        np.testing.assert_allclose(made.sum(1), 1, rtol=1e-5)
        assert made.dtype == np.float32
    assert Temperature(-50).of(seen).max() == np.float32(COOLEST) and Temperature(50).of(seen).min() == HOTTEST


def test_contrast_is_the_standard_deviation():
    frames = np.random.default_rng(0).integers(0, 256, (3, 40, 50), np.uint8)
    frames[2] = 255
    thirds = frames[:, ::3, ::3].reshape(3, -1)
    np.testing.assert_allclose(contrast(frames), thirds.std(1) / 255, atol=1e-5)


def test_what_is_too_dark_or_too_bright_to_see():
    textured = np.random.default_rng(0).integers(0, 4, (40, 50), np.uint8)
    quiet, busy = np.full((40, 50), 127, np.uint8), np.full((40, 50), 127, np.uint8)
    busy[::4] = 255
    assert events_share(np.stack([quiet, busy])).tolist() == [0, 0.25]
    for visible in (Visible(), Visible(0.001, 0.1)):
        assert visible.why_not(textured, quiet) is None
        assert visible.why_not(np.zeros_like(textured), quiet) == "too dark"
        assert visible.why_not(np.full_like(textured, 255), quiet) == "too bright"
        assert visible.why_not(np.zeros_like(textured), busy) is None  # events show what frames don't
    assert Visible(0.01, 0.1).why_not(textured, quiet) == "too dark"


def test_an_engine_applies_the_temperature(small_bundle):
    engine = canthus.load(small_bundle)
    known = canthus.read_bundle(small_bundle).manifest
    warm = Engine(replace(known, confidence=confidence(Temperature(0.9, 1.0))), engine._network)
    frame, event = np.random.default_rng(0).integers(0, 256, (2, 5, *engine.image_size), np.uint8)
    first = engine.prime(frame, event)
    cold, softened = engine.react(frame, event, first), warm.react(frame, event, first)
    np.testing.assert_array_equal(cold.logits, softened.logits)
    expected = Temperature(0.9, 1.0).softened(cold.logits, contrast(frame))
    np.testing.assert_array_equal(softened.probabilities, expected)
    assert (softened.probabilities.max(1) < cold.probabilities.max(1)).all()


def confidence(temperature):
    honest = Honesty(clips=10, accuracy=70.0, confidence=80.0, error=12.0, brier=0.4, log_loss=0.8)
    return Confidence(temperature, 10, 3, 4, {"normal": honest}, {"normal": replace(honest, error=3.0)}, Visible())


def test_a_manifest_keeps_it(small_bundle):
    manifest = replace(canthus.read_bundle(small_bundle).manifest, confidence=confidence(Temperature(0.9, -1.0)))
    assert Manifest.from_yaml(manifest.to_yaml()) == manifest


@pytest.fixture(scope="module")
def see(tmp_path_factory):
    return make_see(tmp_path_factory.mktemp("confidence") / "SEE", sequences=56, frames=14)


def knowing(checkpoint, path, held_back):
    facts = {"image_size": [100, 133], "held_back": held_back}
    torch.save({**torch.load(checkpoint, weights_only=True), "canthus": facts}, path)
    return path


def export(checkpoint, see, output):
    return main(
        ["export", str(checkpoint), "--annotation", str(see / "emotion.json"), "--see", str(see), "-o", str(output)]
    )


def test_an_export_measures_it(small_checkpoint, see, tmp_path, capsys):
    checkpoint = knowing(small_checkpoint, tmp_path / "knowing.pth", [f"{number:03}" for number in range(56)])
    assert export(checkpoint, see, tmp_path / "eye.canthus") == 0
    assert "volunteers; on 56 others" in capsys.readouterr().err
    found = canthus.read_bundle(tmp_path / "eye.canthus").manifest.confidence
    assert found.volunteers == found.tested == 56
    assert tuple(found.after) == tuple(found.before) == LIGHTINGS
    # Its weights are random, so it is right by chance alone, and far too sure of itself.
    assert all(found.after[name].error < found.before[name].error - 10 for name in LIGHTINGS)
    assert all(found.after[name].accuracy == found.before[name].accuracy for name in LIGHTINGS)
    assert main(["inspect", str(tmp_path / "eye.canthus")]) == 0
    said = capsys.readouterr().out
    assert "56 volunteers held back from training" in said and "sure in Low" in said and "Brier score" in said
    assert main(["verify", str(tmp_path / "eye.canthus")]) == 0
    assert main(["evaluate", str(tmp_path / "eye.canthus"), str(see), "--runs", "1", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert figures["confidence"]["all"]["error"] < found.before["normal"].error


@pytest.mark.parametrize(
    ("held_back", "said"),
    [
        (None, "doesn't say which volunteers were held back"),
        (["001", "002"], "has 2 of 2"),
        (["999"], "has 0 of 0"),
    ],
)
def test_too_few_to_fit_on_is_said(small_checkpoint, see, tmp_path, capsys, held_back, said):
    checkpoint = small_checkpoint
    if held_back:
        checkpoint = knowing(small_checkpoint, tmp_path / "knowing.pth", held_back)
    else:
        checkpoint = tmp_path / "unknowing.pth"
        facts = {"image_size": [100, 133]}
        torch.save({**torch.load(small_checkpoint, weights_only=True), "canthus": facts}, checkpoint)
    assert export(checkpoint, see, tmp_path / "eye.canthus") == 0
    told = capsys.readouterr().err
    assert said in " ".join(told.split()) and "uncalibrated" in told
    assert canthus.read_bundle(tmp_path / "eye.canthus").manifest.confidence is None
    assert main(["inspect", str(tmp_path / "eye.canthus")]) == 0
    assert "uncalibrated" in capsys.readouterr().out


def test_labels_of_another_data_set_are_told_before_the_work(small_checkpoint, see, tmp_path):
    other = tmp_path / "emotion.json"
    other.write_text((see / "emotion.json").read_text().replace('"angry", "disgust"', '"disgust", "angry"', 1))
    words = ["export", str(small_checkpoint), "--annotation", str(other), "--image-size", "100x133"]
    assert main([*words, "--see", str(see), "-o", str(tmp_path / "eye.canthus")]) == 2
    assert not (tmp_path / "eye.canthus").exists()
