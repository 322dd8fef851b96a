"""Whether a bundle's graphs use both modalities: measured at export, kept in the manifest, told."""

import io
import json
import shutil
from dataclasses import asdict, replace

import numpy as np
import onnx
import pytest
import yaml
from PIL import Image
from rich.console import Console

import canthus
from bundles import written
from canthus.bundle import read_bundle
from canthus.cli import main
from canthus.manifest import MEMBERS, Manifest
from canthus.modalities import MODALITIES, Exchanged, Modalities
from canthus.parts import ENCODERS, HEAD, signature
from canthus_calibration.modalities import look_at_modalities, measure_modalities
from canthus_calibration.subsets import decode
from canthus_model.config import NO_EVENT
from canthus_model.evaluate.ablation.encoded import encode_clips
from canthus_model.evaluate.ablation.measure import ablate
from canthus_model.see.dataset import open_see
from canthus_model.steps import Steps
from see_folder import make_see
from sees_the_bar import SeesTheBar

FRAMES, EVENTS = (tuple(name for name in ENCODERS if name.endswith(kind)) for kind in ("frame", "event"))
ROUNDS = 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_see(tmp_path_factory.mktemp("data") / "SEE", sequences=35, frames=14, size=(64, 64))


def head_that_reads(images):
    """A head's graph, (N, 7) features to answers: those of `images` vote, and experts 0 and 1 are asked."""
    make = onnx.helper.make_node
    nodes = [
        make("Sum", list(images), ["logits"]),
        make("Softmax", ["logits"], ["probabilities"]),
        make("Gemm", ["probabilities", "asked"], ["experts"]),
    ]
    asked = onnx.numpy_helper.from_array(np.float32([[1, 1, 0, 0, 0, 0, 0, 0]] * 7), "asked")
    inputs, outputs = (
        [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["N", None]) for name in names]
        for names in signature(HEAD)
    )
    graph = onnx.helper.make_graph(nodes, "head", inputs, outputs, [asked])
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10)


def clips_of(see, rounds=ROUNDS):
    drawn = decode(see, list(np.ndindex(rounds, len(see.sequences))), workers=0)
    return drawn, SeesTheBar(*ENCODERS).encode(drawn.frame, drawn.event)


def told(see, *images):
    """What is measured for a head that reads `images`, and what the console shows."""
    drawn, features = clips_of(see)
    shown = io.StringIO()
    found = look_at_modalities(head_that_reads(images), features, drawn, see, Steps(Console(file=shown, width=400)))
    return found, shown.getvalue()


def test_a_network_that_ignores_its_events_is_warned_of(folder):
    found, console = told(open_see(folder, "testing"), *FRAMES)
    frames, events = found.exchanged["frames"], found.exchanged["events"]
    assert (frames.verdict, events.verdict) == ("used", "ignored")
    assert events.agreement == events.uar == found.uar == found.agreement == 100
    assert events.lighting_uar == found.lighting_uar == dict.fromkeys(found.lighting_uar, 100) and found.lighting_uar
    assert frames.agreement < 40 and frames.uar < 40
    assert (found.clips, found.volunteers) == (ROUNDS * 35, 35)
    assert "ablate    frames used, events ignored, by 105 clips of 35 testing volunteers" in console
    (warning,) = (line for line in console.splitlines() if "warning" in line)
    assert f"{events.why}; canthus evaluate --ablate tells more" in warning


def test_a_network_that_uses_both_is_not(folder):
    found, console = told(open_see(folder, "testing"), *ENCODERS)
    assert {one.verdict for one in found.exchanged.values()} == {"used"}
    assert "warning" not in console and "note" not in console


def test_it_finds_what_evaluate_finds(folder):
    """The clips, and whose images are shown instead, are the same; here the features come in another order."""
    see = open_see(folder, "testing")
    model = SeesTheBar("last_frame", "first_event")
    usual = ablate(model, see, encode_clips(model, see, runs=ROUNDS, seed=0, batch=16, workers=0))
    drawn, features = clips_of(see)
    found = measure_modalities(head_that_reads(model.images), features, drawn, see)
    for name, one in found.exchanged.items():
        row = usual.rows[f"{name} of others"]
        assert (one.agreement, one.uar) == (pytest.approx(row.same.value), pytest.approx(row.uar.value))
        assert 0 < one.uar < 100
        assert one.lighting_uar == {light: pytest.approx(uar.value) for light, uar in row.lighting_uar.items()}
        assert one.why in [finding.sentence for finding in usual.findings]


def test_of_many_rounds_some_are_enough(folder):
    see = open_see(folder, "testing")
    drawn, features = clips_of(see, rounds=40)
    assert measure_modalities(head_that_reads(FRAMES), features, drawn, see).clips == 29 * 35  # the first above 1000


def test_nothing_follows_about_a_modality_that_shows_nothing(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "SEE")
    grey = Image.new("L", (64, 64), NO_EVENT)
    for path in (copy / "event").rglob("*.jpg"):
        grey.save(path)
    found, console = told(open_see(copy, "testing"), *FRAMES)
    assert [found.exchanged[name].verdict for name in MODALITIES] == ["used", "unknown"]
    assert "note      the events of this data set are all of one grey: nothing follows about them" in console
    assert "warning" not in console


def test_nothing_follows_from_few(tmp_path):
    found, console = told(open_see(make_see(tmp_path / "SEE", size=(64, 64)), "testing"), *FRAMES)
    assert {one.verdict for one in found.exchanged.values()} == {"unknown"}
    assert console.count("note      nothing follows: 8 sequences of 8 volunteers are too few") == 1
    assert "warning" not in console


def test_one_sequence_is_told_and_measured_by_nothing(folder):
    see = open_see(folder, "testing")
    found, console = told(replace(see, sequences=see.sequences[:1]), *FRAMES)
    assert found is None
    assert "ablate    whether frames and events are used is not known: one sequence alone" in console


# In the bundle.

WHY = "the frames are ignored: with those of other clips 1.5 % of the labels change"
FOUND = Modalities(
    clips=1008,
    volunteers=4,
    agreement=81.7,
    uar=87.6,
    lighting_uar={"normal": 91.4, "Low": 75.9},
    exchanged={
        "frames": Exchanged("ignored", WHY, 98.5, 88.1, {"normal": 91.8, "Low": 75.7}),
        "events": Exchanged("used", "the events are used: with those", 14.9, 14.2, {"normal": 16.8, "Low": 12.1}),
    },
)


@pytest.fixture
def telling(small_bundle, tmp_path):
    """A bundle that tells of its modalities."""
    bundle = read_bundle(small_bundle)
    members = {name: bundle.read(name) for name in MEMBERS}
    return written(replace(bundle.manifest, modalities=FOUND), members, tmp_path / "eye.canthus")


def test_the_manifest_keeps_it_and_inspect_shows_it(telling, small_bundle, capsys):
    manifest = read_bundle(telling).manifest
    assert manifest.modalities == FOUND
    assert canthus.load(telling).labels == manifest.labels
    assert main(["inspect", str(telling)]) == 0
    lines = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    assert lines["modalities"].strip().startswith("measured on 1008 clips of 4 testing volunteers")
    assert lines["frames"].strip() == WHY
    assert lines["frames of others"].strip() == (
        "98.5 % answered as with their own; UAR 88.1 % (87.6), normal 91.8 % (91.4), Low 75.7 % (75.9)"
    )
    assert main(["inspect", "--json", str(telling)]) == 0
    assert json.loads(capsys.readouterr().out)["modalities"] == asdict(FOUND)
    assert main(["inspect", str(small_bundle)]) == 0
    assert "modalities" not in capsys.readouterr().out  # not measured: nothing is said
    assert read_bundle(small_bundle).manifest.modalities is None


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ((), None, r"modalities\. is not a mapping"),
        (("clips",), 0, r"modalities\.clips must be a whole number from 1"),
        (("volunteers",), 1.5, r"modalities\.volunteers must be a whole number"),
        (("agreement",), 101, r"modalities\.agreement must be a number from 0 to 100"),
        (("uar",), "high", r"modalities\.uar must be a number from 0 to 100"),
        (("lighting_uar", "Low"), 175.9, r"modalities\.lighting_uar\.Low must be a number from 0 to 100"),
        (("exchanged", "events"), None, r"modalities\.exchanged\.events\. is not a mapping"),
        (("exchanged", "frames", "verdict"), "fine", r"frames\.verdict must be one of used, ignored, undecided, unk"),
        (("exchanged", "frames", "why"), "a\x1b[2J", r"modalities\.exchanged\.frames\.why must be a text"),
        (("exchanged", "frames", "agreement"), -1, r"modalities\.exchanged\.frames\.agreement must be a number"),
        (("exchanged", "frames", "uar"), None, r"modalities\.exchanged\.frames\.uar must be a number"),
        (("exchanged", "events", "lighting_uar"), {"normal": 1.0}, r"events\.lighting_uar\.Low must be a number"),
    ],
)
def test_what_makes_no_sense_is_refused(small_bundle, place, value, message):
    document = yaml.safe_load(replace(read_bundle(small_bundle).manifest, modalities=FOUND).to_yaml())
    *above, last = ("modalities", *place)
    inner = document
    for name in above:
        inner = inner[name]
    inner[last] = value
    with pytest.raises(canthus.BundleError, match=message):
        Manifest.from_yaml(yaml.safe_dump(document))


def test_an_integer_that_no_float_holds_is_refused(small_bundle):
    document = yaml.safe_load(read_bundle(small_bundle).manifest.to_yaml())
    document["parity"]["tolerance"] = 10**400
    with pytest.raises(canthus.BundleError, match=r"parity\.tolerance must be a number"):
        Manifest.from_yaml(yaml.safe_dump(document))
