"""Every image is looked at before training, once; what was found in order is remembered, and no more than that."""

import os

import pytest
from PIL import Image

import canthus
from canthus_model.see import decoding
from canthus_model.see.dataset import open_see
from canthus_model.see.decoding import check_images
from see_folder import make_see

SEQUENCES, FRAMES = 3, 6
IMAGES = 2 * SEQUENCES * 2 * FRAMES


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path):
    return make_see(tmp_path / "SEE", SEQUENCES, FRAMES)


@pytest.fixture
def decoded(monkeypatch):
    """The images that were decoded."""
    paths, size_of = [], decoding.size_of

    def counting(path, *, decode=False):
        if decode:
            paths.append(path)
        return size_of(path, decode=decode)

    monkeypatch.setattr(decoding, "size_of", counting)
    return paths


def check(folder, workers=0, report=lambda done, total: None):
    check_images([open_see(folder, subset, ends=False) for subset in ("training", "testing")], workers, report)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_data_set_in_order(folder, workers):
    reported = []
    check(folder, workers, lambda done, total: reported.append((done, total)))
    assert reported[-1] == (IMAGES, IMAGES)
    assert [done for done, _ in reported] == list(range(FRAMES, IMAGES + 1, FRAMES))


def scrambled(path):
    content = bytearray(path.read_bytes())
    content[2:60] = bytes(58)  # begins and ends as a JPEG does
    path.write_bytes(content)


@pytest.mark.parametrize("workers", [0, 2])
def test_what_cannot_be_trained_with_is_counted_and_named(folder, workers):
    training, testing = (open_see(folder, subset).sequences for subset in ("training", "testing"))
    for path in (training[1].event / "00002.jpg", testing[2].frame / "00005.jpg"):
        scrambled(path)
    for path in testing[0].images():
        with Image.open(path) as image:
            image.resize((160, 120)).save(path)  # of the same shape: it would have been trained with
    with pytest.raises(canthus.DataSetError) as raised:
        check(folder, workers)
    lines = str(raised.value).splitlines()
    assert len(lines) == 3, lines
    assert "2 × images that can't be decoded" in lines[1] and f"{training[1].event / '00002.jpg'}" in lines[1]
    assert "2 × images of another size than the first one, 64x48" in lines[2]
    assert f"{testing[0].frame / '00000.jpg'} is 160x120" in lines[2]


def test_nothing_is_decoded_twice_but_what_has_changed(folder, decoded):
    check(folder)
    assert len(decoded) == len(set(decoded)) == IMAGES
    decoded.clear()
    check(folder)
    assert decoded == []
    path = next(open_see(folder, "testing").sequences[1].images())
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    check(folder)
    assert [image.parent for image in decoded] == [path.parent] * FRAMES
    decoded.clear()
    scrambled(path)
    for _ in range(2):  # what was found wrong isn't remembered
        with pytest.raises(canthus.DataSetError, match="1 × images that can't be decoded"):
            check(folder)
    assert len(decoded) == 2 * FRAMES


def test_only_hashes_are_kept_and_not_in_the_data_set(folder, cache):
    before = sorted(folder.rglob("*"))
    check(folder)
    assert sorted(folder.rglob("*")) == before
    (file,) = (path for path in cache.rglob("*") if path.is_file())
    assert file.parent == cache / "canthus" / "images"
    lines = file.read_text().splitlines()
    assert len(lines) == 4 * SEQUENCES
    assert all(len(line) == 32 and set(line) <= set("0123456789abcdef") for line in lines)


@pytest.mark.parametrize("spoil", [lambda file: file.write_bytes(b"\xff\x00 odd"), lambda file: file.unlink()])
def test_a_damaged_memory_is_no_memory(folder, cache, decoded, spoil):
    check(folder)
    spoil(next(path for path in cache.rglob("*") if path.is_file()))
    decoded.clear()
    check(folder)
    assert len(decoded) == IMAGES


def test_without_a_place_for_it_nothing_is_remembered(folder, cache, decoded):
    cache.write_text("a file")
    check(folder)
    check(folder)
    assert len(decoded) == 2 * IMAGES


def test_images_that_go_away_meanwhile(folder):
    subsets = [open_see(folder, subset, ends=False) for subset in ("training", "testing")]
    (subsets[1].sequences[0].event / "00001.jpg").unlink()
    with pytest.raises(canthus.DataSetError, match=r"1 × images that went away .*event.*00001\.jpg"):
        check_images(subsets, 0)
