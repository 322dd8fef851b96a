"""Reading SEE: names, the annotation, the images, and the clips drawn from them."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import canthus
from canthus_model.config import LABELS
from canthus_model.see.annotation import read_annotation, read_labels
from canthus_model.see.clips import middle_clip, random_clip
from canthus_model.see.dataset import open_see
from canthus_model.see.moments import Clips
from canthus_model.see.names import SequenceName
from see_folder import make_see

NAME = "1_001_man_24_Master_normal_angry_45_take000"


@pytest.fixture
def folder(tmp_path) -> Path:
    return make_see(tmp_path / "SEE")


def test_a_name_is_taken_apart_and_put_together():
    name = SequenceName.parse(NAME)
    assert (name.sequence, name.volunteer, name.sex, name.age, name.degree) == (1, "001", "man", 24, "Master")
    assert (name.lighting, name.emotion, name.length, name.take) == ("normal", "angry", 45, 0)
    assert str(name) == NAME


@pytest.mark.parametrize(
    "name",
    ["", "..", "1_001_man", NAME.replace("normal", "bright"), NAME + "/x", NAME + "\n", "٣" + NAME, NAME.lower() + "_"],
)
def test_other_names_are_refused(name):
    with pytest.raises(canthus.DataSetError, match="not the name of a SEE sequence"):
        SequenceName.parse(name)


def test_opened(folder):
    see = open_see(folder, "testing")
    assert see.labels == LABELS
    assert [s.label for s in see.sequences] == [LABELS[n % 7] for n in range(8, 16)]
    assert [s.lighting for s in see.sequences[:4]] == ["normal", "Overexposed", "Low", "HDR"]
    assert see.sequences[0].entry.parts.volunteer == "008"
    assert all(path.is_file() for path in see.sequences[0].images())


def test_case_of_a_label_folder_is_no_matter(folder):
    (folder / "frame" / "neutral").rename(folder / "frame" / "neutraL")
    assert len(open_see(folder, "training").sequences) == 8


def test_what_a_mac_or_windows_does_to_a_data_set_is_no_matter(folder):
    plain = Clips(open_see(folder, "training"))
    expected = [plain[0, index] for index in range(8)]
    for path in [*folder.rglob("*"), folder]:
        if path.is_dir():
            for name in (".DS_Store", "._00003.jpg", "._neutral", "Thumbs.db"):
                (path / name).write_bytes(b"\0\5\26\7")
    for number, sequence in enumerate(open_see(folder, "training").sequences):
        for path in (sequence.frame, sequence.event)[number % 2].glob("0*.jpg"):
            path.rename(path.with_suffix((".JPG", ".jpeg")[number % 4 // 2]))
    path = folder / "emotion.json"
    path.write_text(path.read_text(), encoding="utf-8-sig")
    odd = Clips(open_see(folder, "training"))
    for index, sample in enumerate(expected):
        assert torch.equal(odd[0, index].frame, sample.frame) and torch.equal(odd[0, index].event, sample.event)


def test_problems_are_counted_and_named(folder):
    sequences = open_see(folder, "training").sequences
    (sequences[0].frame / "00003.jpg").unlink()
    (sequences[1].event / "00007.jpg").unlink()
    (sequences[1].event / "00009.jpg").unlink()
    image = sequences[2].frame / "00000.jpg"
    image.write_bytes(image.read_bytes()[:-40])
    (sequences[3].frame / "00001.jpg").write_bytes(b"")
    for path in sequences[4].event.iterdir():
        path.unlink()
    sequences[4].event.rmdir()
    with pytest.raises(canthus.DataSetError) as raised:
        open_see(folder, "training")
    lines = str(raised.value).splitlines()
    assert len(lines) == 4
    assert "2 × sequences with missing images" in lines[1]
    assert "00003.jpg (and 0 more" in lines[1] and "00007.jpg (and 1 more" in lines[1]
    assert "2 × images that are cut off" in lines[2] and str(image) in lines[2]
    assert "1 × missing sequence folders" in lines[3]
    assert len(open_see(folder, "testing").sequences) == 8


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("emotion.json", r"emotion\.json: no such file"),
        ("frame", "has event images but no frames, no folder frame/; the network joins both"),
        ("event", "has frames but no event images, no folder event/; the network joins both"),
        ("", ": no such folder"),
    ],
)
def test_half_a_data_set(folder, missing, message):
    (folder / missing).rename(folder.parent / "away")
    with pytest.raises(canthus.DataSetError, match=message):
        open_see(folder, "training")


def test_a_subset_without_sequences(folder):
    with pytest.raises(canthus.DataSetError, match="no sequence of the subset 'validation'"):
        open_see(folder, "validation")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r["annotations"].update(label="bored"), "labels that 'labels' doesn't list: 'bored' of 1_000"),
        (lambda r: r.update(annotations=None), "1 × no annotations"),
        (lambda r: r.update(subset="test"), "subset neither training nor testing: 'test'"),
        (lambda r: r["annotations"].update(segment=[0]), "no segment"),
        (lambda r: r["annotations"].update(segment=[0, 4]), "fewer than 5 frames"),
        (lambda r: r["annotations"].update(segment=[-1, 40]), "fewer than 5 frames"),
    ],
)
def test_entries_that_cant_be_used(folder, change, message):
    path = folder / "emotion.json"
    document = json.loads(path.read_text())
    change(next(iter(document["database"].values())))
    path.write_text(json.dumps(document))
    with pytest.raises(canthus.DataSetError, match=message):
        read_annotation(path)


def test_names_that_dont_parse_are_counted(folder):
    path = folder / "emotion.json"
    document = json.loads(path.read_text())
    record = next(iter(document["database"].values()))
    document["database"] |= {f"odd{n}": record for n in range(5)}
    path.write_text(json.dumps(document))
    with pytest.raises(canthus.DataSetError, match=r"5 × names that don't parse: 'odd0' .*; …"):
        read_annotation(path)


@pytest.mark.parametrize(
    "content",
    [
        "", "[]", "{}", '{"labels": "abc"}', json.dumps({"labels": ["a"] * 7}), json.dumps({"labels": ["a"]}),
        json.dumps({"labels": ["../x", *LABELS[1:]]}),
    ],
)  # fmt: skip
def test_annotation_without_labels(tmp_path, content):
    path = tmp_path / "emotion.json"
    path.write_text(content)
    with pytest.raises(canthus.DataSetError, match=r"emotion\.json"):
        read_labels(path)


def test_random_clips_are_those_of_the_published_recipe():
    random = np.random.default_rng(0)
    drawn = {random_clip((0, 45), random) for _ in range(4000)}
    # frames[r::4] has 12 entries for r = 0 and 11 for r = 1 to 4, so it starts at its entries 0..7 and 0..6.
    assert drawn == {(r + 4 * k, r + 4 * k + 12) for r in range(5) for k in range(8 if r == 0 else 7)}


def test_clips_of_short_sequences_begin_again():
    random = np.random.default_rng(0)
    # r = 0: frames 0 4 8, looped to 0; r = 1: 1 5 9, looped to 1; r = 2: 2 6, looped to 2 6.
    assert {random_clip((0, 10), random) for _ in range(500)} == {(0, 0), (1, 1), (2, 6), (3, 7), (4, 8)}


@pytest.mark.parametrize(("segment", "clip"), [((0, 45), (16, 28)), ((10, 23), (10, 22)), ((0, 5), (0, 4))])
def test_middle_clip(segment, clip):
    assert middle_clip(segment) == clip


def test_samples(folder):
    see = open_see(folder, "training")
    clips = Clips(see, seed=3)
    assert clips.image_size == (100, 133)
    sample = clips[5, 2]
    assert sample.frame.shape == sample.event.shape == (2, 100, 133)
    assert (sample.label, sample.index) == (2, 2)
    assert (clips[5, 2].frame == sample.frame).all() and (clips[5, 2].event == sample.event).all()
    assert any((clips[turn, 2].frame != sample.frame).any() for turn in range(6, 10))
    middle = Clips(see, middle=True)[0, 2]
    first, _ = middle_clip((0, 24))
    with Image.open(see.sequences[2].frame / f"{first:05}.jpg") as image:
        expected = np.asarray(image.resize((133, 100), Image.Resampling.BILINEAR))
    assert (middle.frame[0].numpy() == expected).all()


def test_kept_images_are_decoded_once(folder):
    see = open_see(folder, "training")
    clips, kept = Clips(see, middle=True), Clips(see, middle=True, keep=True)
    assert kept.size_in_memory == 8 * 24 * 2 * 100 * 133
    first = kept[0, 2]
    assert torch.equal(first.frame, clips[0, 2].frame)
    for path in see.sequences[2].images():
        path.unlink()
    assert torch.equal(kept[1, 2].event, first.event)
    with pytest.raises(canthus.DataSetError):
        clips[1, 2]


def test_an_image_that_cant_be_decoded(folder):
    see = open_see(folder, "training")
    clips = Clips(see)
    for path in see.sequences[1].images():
        content = bytearray(path.read_bytes())
        content[2:60] = bytes(58)
        path.write_bytes(content)
    with pytest.raises(canthus.DataSetError, match=r"\.jpg: not a readable image"):
        clips[0, 1]


def test_an_image_of_another_shape(folder):
    see = open_see(folder, "training")
    clips = Clips(see)
    for path in see.sequences[1].images():
        Image.new("L", (64, 64)).save(path)
    with pytest.raises(canthus.DataSetError, match=r"becomes 100x100 pixels, .* first image 133x100"):
        clips[0, 1]
