"""A bundle is read as data: whole and unchanged, or not at all."""

import shutil
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import yaml

import canthus
from bundles import written
from canthus.bundle import read_bundle, write_bundle
from canthus.manifest import MEMBERS, Manifest
from canthus.verify import Golden
from damage import damaged


def rewrite(source, target, change):
    """Copy a bundle with `change(name, content) -> (content, options) | None` applied to each member."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for info in old.infolist():
            changed = change(info.filename, old.read(info))
            if changed is not None:
                new.writestr(info.filename, changed)
    return target


def edit_manifest(source, target, edit):
    def change(name, content):
        if name != "manifest.yaml":
            return content
        document = yaml.safe_load(content)
        edit(document)
        return yaml.safe_dump(document)

    return rewrite(source, target, change)


def test_members_are_stored_and_manifest_comes_back(small_bundle, tmp_path):
    bundle = read_bundle(small_bundle)
    assert bundle.manifest.labels[3] == "happiness"
    assert bundle.manifest.image_size == (100, 100)
    assert Manifest.from_yaml(bundle.manifest.to_yaml()) == bundle.manifest
    with zipfile.ZipFile(small_bundle) as archive:
        assert {i.filename for i in archive.infolist()} == {"manifest.yaml", *MEMBERS}
        assert all(i.compress_type == zipfile.ZIP_STORED for i in archive.infolist())


@pytest.mark.parametrize("share", [0, 0.01, 0.3, 0.9, 0.9999])
def test_truncated_bundle(small_bundle, tmp_path, share):
    content = small_bundle.read_bytes()
    path = tmp_path / "cut.canthus"
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(canthus.BundleError, match=r"cut\.canthus"):
        canthus.load(path)


@pytest.mark.parametrize("member", MEMBERS)
def test_one_changed_byte_in_a_member(small_bundle, tmp_path, member):
    def flip(name, content):
        middle = len(content) // 2
        return content if name != member else content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]

    path = rewrite(small_bundle, tmp_path / "changed.canthus", flip)
    with pytest.raises(canthus.BundleError, match=f"{member} is not what was exported"):
        canthus.load(path)


def test_changed_bytes_never_escape_as_another_error(small_bundle, tmp_path):
    content, path = small_bundle.read_bytes(), tmp_path / "changed.canthus"
    refused = 0
    for seed in range(150):  # in the manifest, or in the table of contents
        path.write_bytes(damaged(content, head=2500, tail=500, seed=seed))
        try:
            canthus.load(path)
        except canthus.BundleError:
            refused += 1
    assert refused > 100


def test_changed_byte_in_place(small_bundle, tmp_path):
    path = tmp_path / "rotten.canthus"
    content = bytearray(small_bundle.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(canthus.BundleError, match="damaged"):
        canthus.load(path)


def test_future_format(small_bundle, tmp_path):
    path = edit_manifest(small_bundle, tmp_path / "new.canthus", lambda m: m.update(format=3))
    with pytest.raises(canthus.BundleError, match=r"format 3.*update canthus"):
        canthus.load(path)


def test_the_format_before(small_bundle, tmp_path):
    """Two graphs, of which each held the parts of a moment: refused, with the command that exports it again."""
    old = tmp_path / "old.canthus"
    with zipfile.ZipFile(small_bundle) as archive, zipfile.ZipFile(old, "w") as made:
        document = yaml.safe_load(archive.read("manifest.yaml"))
        document |= {"format": 1, "precision": "int8", "target": "arm64"}
        document["provenance"]["checkpoint"] = "my best.pth"
        made.writestr("manifest.yaml", yaml.safe_dump(document))
        for name in ("prime.onnx", "react.onnx", "golden.npz"):
            made.writestr(name, b"")
    command = (
        r"canthus export 'my best\.pth' --annotation emotion\.json --image-size 100x100 --precision int8 --see SEE "
        r"--target arm64 -o NEW\.canthus"
    )
    with pytest.raises(
        canthus.BundleError, match=rf"old\.canthus: is of format 1 .* reads 2: export it again: {command}"
    ):
        read_bundle(old)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("labels", "angry"),
        ("labels", ["angry", "angry"]),
        ("labels", ["a\x1b[2J"]),
        ("image_size", [100]),
        ("image_size", [100, 1e9]),
        ("window_us", 0),
        ("window_us", True),
        ("span_us", "400000"),
        ("event_neutral", 2),
        ("event_contribution", float("nan")),
        ("sha256", {}),
        ("normalisation", None),
        ("provenance", {"a": [1]}),
        ("parity", {1: 2}),
    ],
)
def test_manifest_field_that_makes_no_sense(small_bundle, tmp_path, field, value):
    path = edit_manifest(small_bundle, tmp_path / "odd.canthus", lambda m: m.update({field: value}))
    with pytest.raises(canthus.BundleError, match=f"odd.canthus: manifest: .*{field}"):
        canthus.load(path)


@pytest.mark.parametrize("text", ["", "[1, 2]", "a: [", "!!python/object/apply:os.getcwd []", "[" * 20000, "\x00"])
def test_manifest_that_is_none(small_bundle, tmp_path, text):
    path = rewrite(small_bundle, tmp_path / "odd.canthus", lambda n, c: text if n == "manifest.yaml" else c)
    with pytest.raises(canthus.BundleError, match=r"odd\.canthus"):
        canthus.load(path)


def test_missing_and_surplus_members(small_bundle, tmp_path):
    missing = rewrite(small_bundle, tmp_path / "less.canthus", lambda n, c: None if n == "golden.npz" else c)
    with pytest.raises(canthus.BundleError, match=r"holds first_event\.onnx, first_frame\.onnx, .*, manifest\.yaml;"):
        canthus.load(missing)
    surplus = shutil.copy(small_bundle, tmp_path / "more.canthus")
    with zipfile.ZipFile(surplus, "a") as archive:
        archive.writestr("../escape", b"")
    with pytest.raises(canthus.BundleError, match=r"\.\./escape"):
        canthus.load(surplus)
    twice = shutil.copy(small_bundle, tmp_path / "twice.canthus")
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(twice, "a") as archive:
        archive.writestr("manifest.yaml", b"")
    with pytest.raises(canthus.BundleError, match="once each"):
        canthus.load(twice)


def test_compressed_and_oversized_members(small_bundle, tmp_path):
    packed = tmp_path / "packed.canthus"
    with zipfile.ZipFile(small_bundle) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    with pytest.raises(canthus.BundleError, match="compressed or encrypted"):
        canthus.load(packed)
    large = rewrite(
        small_bundle, tmp_path / "large.canthus", lambda n, c: bytes(1 << 20) if n == "manifest.yaml" else c
    )
    with pytest.raises(canthus.BundleError, match=r"manifest\.yaml claims 1048576 bytes"):
        canthus.load(large)


@pytest.mark.parametrize("name", ["junk.canthus", "none.canthus", ""])
def test_what_is_no_bundle(tmp_path, name):
    (tmp_path / "junk.canthus").write_bytes(b"not a zip")
    with pytest.raises(canthus.BundleError):
        canthus.load(tmp_path / name)


def test_failed_write_leaves_the_old_bundle_and_nothing_else(small_bundle, tmp_path):
    path = tmp_path / "eye.canthus"
    path.write_bytes(b"the old one")
    manifest = read_bundle(small_bundle).manifest
    with pytest.raises(KeyError):
        write_bundle(path, manifest, {"first_frame.onnx": b"1"})
    assert path.read_bytes() == b"the old one"
    assert [p.name for p in tmp_path.iterdir()] == ["eye.canthus"]
    with pytest.raises(canthus.BundleError, match="can't write"):
        write_bundle(tmp_path / "no" / "eye.canthus", manifest, {})


def with_golden(small_bundle, path, content):
    """A bundle whose golden vectors are `content`, with a manifest that agrees."""
    bundle = read_bundle(small_bundle)
    members = {name: bundle.read(name) for name in MEMBERS} | {"golden.npz": content}
    return read_bundle(written(bundle.manifest, members, path))


def test_golden_vectors_that_can_not_be(small_bundle, tmp_path):
    good = Golden.from_bundle(read_bundle(small_bundle))
    for odd in (
        replace(good, logits=good.logits[:2]),
        replace(good, features=good.features[:, :3]),
        replace(good, features=good.features.astype(np.float16)),
        replace(good, frame=good.frame[:, :, :50]),
        replace(good, logits=good.logits.astype(np.float64)),
        replace(good, logits=np.float32(1)),
    ):
        bundle = with_golden(small_bundle, tmp_path / "odd.canthus", odd.to_bytes())
        with pytest.raises(canthus.BundleError, match=r"golden\.npz doesn't fit"):
            Golden.from_bundle(bundle)
    for content in (b"", b"junk", replace(good, logits=np.array([object()])).to_bytes()):
        bundle = with_golden(small_bundle, tmp_path / "odd.canthus", content)
        with pytest.raises(canthus.BundleError, match=r"golden\.npz can't be read"):
            Golden.from_bundle(bundle)


def test_what_could_not_be_read_is_not_written(small_bundle, tmp_path):
    bundle = read_bundle(small_bundle)
    manifest = replace(bundle.manifest, window_us=2_000_000)
    with pytest.raises(canthus.BundleError, match=r"is not written, since it could not be read: .*window_us"):
        write_bundle(tmp_path / "eye.canthus", manifest, {name: bundle.read(name) for name in MEMBERS})
    assert not list(tmp_path.iterdir())
