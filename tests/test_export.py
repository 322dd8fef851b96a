"""The main job's first half: a checkpoint becomes a bundle that answers as it does, or nothing does."""

import hashlib
import json

import onnx
import pytest
import torch
import weights

import canthus
from bundles import engine_of
from canthus.cli import main
from canthus.operators import library_path
from canthus.parts import ENCODERS, member
from canthus.runtimes.onnxruntime import OnnxRuntime
from canthus.verify import FEATURES_TOLERANCE, TOLERANCE, Golden, replay
from canthus_exporter import export as exporting
from canthus_exporter.export import export
from canthus_exporter.golden import make_golden
from canthus_exporter.int8 import Int8
from canthus_exporter.trained_on import trained_on
from canthus_model.see.annotation import read_labels


@pytest.fixture(scope="module")
def paper_bundle(annotation, tmp_path_factory):
    """A checkpoint of the paper's size with optimiser-free, deterministic weights, exported."""
    folder = tmp_path_factory.mktemp("paper")
    state = {name: torch.as_tensor(array) for name, array in weights.state_dict().items()}
    torch.save({"epoch": 100, "state_dict": state}, folder / "paper.pth")
    del state
    export(folder / "paper.pth", annotation, folder / "paper.canthus")
    (folder / "paper.pth").unlink()
    return canthus.read_bundle(folder / "paper.canthus")


def test_paper_size(paper_bundle):
    assert paper_bundle.manifest.parameters <= 60e6
    assert paper_bundle.size <= 235e6


@pytest.mark.parametrize("operators", [library_path(), None], ids=["operators", "portable"])
def test_paper_parity(paper_bundle, operators):
    found = replay(engine_of(paper_bundle, OnnxRuntime(operators)), Golden.from_bundle(paper_bundle))
    assert found.answers <= TOLERANCE
    assert set(found.features) == set(ENCODERS) and max(found.features.values()) <= FEATURES_TOLERANCE / 10


def test_paper_parity_is_in_the_manifest(paper_bundle):
    parity = paper_bundle.manifest.parity
    assert set(parity) == {"folded", "operators", "portable", "tolerance"}
    assert all(0 < parity[name] <= TOLERANCE for name in parity)


def test_provenance(small_bundle, small_checkpoint):
    provenance = canthus.read_bundle(small_bundle).manifest.provenance
    assert provenance["checkpoint_sha256"] == hashlib.sha256(small_checkpoint.read_bytes()).hexdigest()
    assert provenance["torch"] == torch.__version__


def test_the_head_is_three_operators_and_the_graphs_name_no_file(small_bundle):
    bundle = canthus.read_bundle(small_bundle)
    types = onnx.TensorProto
    operators = ["McoMamba", "Mcib", "RoutedExperts"]
    for part, own, takes in (*((part, [], [types.UINT8]) for part in ENCODERS), ("head", operators, [types.FLOAT] * 4)):
        content = bundle.read(member(part))
        graph = onnx.load_from_string(content).graph
        assert [node.op_type for node in graph.node if node.domain == "canthus"] == own
        assert b".py" not in content
        assert [i.type.tensor_type.elem_type for i in graph.input] == takes


def test_golden_answers_differ(small_network):
    """Golden windows that all get one answer would verify little."""
    logits = make_golden(small_network).logits
    assert (logits.max(0) - logits.min(0) > 0.01).all()


def test_other_image_size(small_checkpoint, annotation, tmp_path):
    export(small_checkpoint, annotation, tmp_path / "wide.canthus", image_size=(90, 120))
    engine = canthus.load(tmp_path / "wide.canthus")
    assert engine.image_size == (90, 120)


def test_what_does_not_verify_is_not_written(small_checkpoint, annotation, tmp_path, monkeypatch):
    fold = exporting.fold

    def broken(network):
        parts = fold(network)
        parts["head"].mamba.D.data += 0.1
        return parts

    monkeypatch.setattr(exporting, "fold", broken)
    with pytest.raises(canthus.ExportError, match=r"the folded network doesn't compute .*: head: its answers are"):
        export(small_checkpoint, annotation, tmp_path / "eye.canthus")
    assert list(tmp_path.iterdir()) == []


def test_names_are_no_markup(small_checkpoint, annotation, tmp_path, capsys):
    odd = tmp_path / "[/bold]" / "a[red]b.pth"
    odd.parent.mkdir(parents=True)
    odd.symlink_to(small_checkpoint)
    export(odd, annotation, tmp_path / "eye.canthus")
    assert str(odd) in capsys.readouterr().err


def test_a_place_that_cannot_be_written_is_told_before_the_work(annotation, tmp_path):
    nothing = tmp_path / "none.pth"  # it would be told next
    with pytest.raises(canthus.ExportError, match="is a folder; give the name of a file"):
        export(nothing, annotation, tmp_path)
    with pytest.raises(canthus.ExportError, match=r"/proc/eye\.canthus: can't be written"):
        export(nothing, annotation, "/proc/eye.canthus")
    page = Int8(page=tmp_path)
    with pytest.raises(canthus.ExportError, match="is a folder; give the name of a file"):
        export(nothing, annotation, tmp_path / "eye.canthus", int8=page, see=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_output_folder_must_exist(small_checkpoint, annotation, tmp_path):
    with pytest.raises(canthus.ExportError, match="there is no folder"):
        export(small_checkpoint, annotation, tmp_path / "no" / "eye.canthus")


def knowing(small_checkpoint, path, **facts):
    """The checkpoint, with what it knows of itself."""
    torch.save({**torch.load(small_checkpoint, weights_only=True), "canthus": facts}, path)
    return path


def test_what_a_checkpoint_knows_of_itself_is_used(small_checkpoint, annotation, tmp_path, capsys):
    """Right answers fell from 178 to 83 of 228 where the size was another, and every check said ok."""
    labels = read_labels(annotation)
    facts = {"image_size": [90, 120], "labels": [*labels[::-1]], "window_us": 30_000, "span_us": 200_000}
    checkpoint = knowing(small_checkpoint, tmp_path / "knows.pth", **facts)
    manifest = export(checkpoint, None, tmp_path / "knows.canthus")
    assert (manifest.image_size, manifest.labels) == ((90, 120), labels[::-1])
    assert (manifest.window_us, manifest.span_us) == (30_000, 200_000)
    assert canthus.load(tmp_path / "knows.canthus", "onnxruntime").image_size == (90, 120)
    assert "doesn't say" not in capsys.readouterr().err
    # What agrees may be given.
    (tmp_path / "same.json").write_text(json.dumps({"labels": labels[::-1]}))
    facts = trained_on(checkpoint, tmp_path / "same.json", (90, 120), print)
    assert (facts.image_size, facts.labels) == ((90, 120), labels[::-1])


def test_what_contradicts_a_checkpoint_is_refused(small_checkpoint, annotation, tmp_path, capsys):
    labels = read_labels(annotation)
    checkpoint = knowing(small_checkpoint, tmp_path / "knows.pth", image_size=[90, 120], labels=[*labels[::-1]])
    output = tmp_path / "eye.canthus"
    command = ["export", str(checkpoint), "-o", str(output)]
    assert main([*command, "--image-size", "100x100"]) == 2
    told = capsys.readouterr().err
    assert (
        "was trained on images of 90x120 pixels (height x width), and --image-size says 100x100; leave it out" in told
    )
    assert main([*command, "--annotation", str(annotation)]) == 2
    assert f"its labels are {', '.join(labels)}, and the checkpoint's own {', '.join(labels[::-1])}; leave --anno" in (
        capsys.readouterr().err
    )
    assert not output.exists()


def test_what_nobody_knows_is_asked_for_or_taken_and_told(small_checkpoint, annotation, tmp_path, capsys):
    told = []
    facts = trained_on(small_checkpoint, annotation, None, told.append)
    assert facts.image_size == (100, 100) and facts.labels == read_labels(annotation)
    assert len(told) == 1 and "doesn't say of which size its images were: 100x100 is taken" in told[0]
    assert main(["export", str(small_checkpoint), "-o", str(tmp_path / "eye.canthus")]) == 2
    assert "doesn't say what its outputs stand for; give --annotation FILE" in capsys.readouterr().err


@pytest.mark.parametrize("output", ["small.pth", "./link.canthus"])
def test_a_checkpoint_is_not_overwritten(small_checkpoint, annotation, tmp_path, capsys, output):
    checkpoint = tmp_path / "small.pth"
    checkpoint.write_bytes(small_checkpoint.read_bytes())
    (tmp_path / "link.canthus").symlink_to(checkpoint)
    arguments = ["export", str(checkpoint), "--annotation", str(annotation), "-o", str(tmp_path / output)]
    assert main(arguments) == 2
    assert "is what is to be exported, and would be overwritten" in capsys.readouterr().err
    assert checkpoint.read_bytes() == small_checkpoint.read_bytes()
    assert main(["export", str(checkpoint), "--annotation", str(annotation), "-o", str(tmp_path)]) == 2
    assert "is a folder; give the name of a file" in capsys.readouterr().err


@pytest.mark.parametrize(
    "facts",
    [{"window_us": 2_000_000}, {"labels": [*"abcdef", "g" * 100_000]}, {"labels": [*"abcdef", ""]}],
    ids=["window", "long label", "no label"],
)
def test_facts_that_no_bundle_can_hold_are_refused_at_once(small_checkpoint, annotation, tmp_path, facts):
    checkpoint = knowing(small_checkpoint, tmp_path / "knows.pth", **facts)
    with pytest.raises(canthus.CheckpointError, match="makes no sense under 'canthus'"):
        export(checkpoint, annotation, tmp_path / "eye.canthus")
