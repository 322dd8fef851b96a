"""The `.canthus` bundle: one file, a zip of stored members, read as data and never run."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from canthus.errors import BundleError
from canthus.eye import MEMBER as EYE_MEMBER
from canthus.manifest import MEMBERS, Manifest
from canthus.parts import PARTS, member
from canthus.self_contained import check_self_contained
from canthus.whole_file import whole_file

_MANIFEST = "manifest.yaml"
_LARGEST = {
    _MANIFEST: 1 << 18,
    **dict.fromkeys(map(member, PARTS), 1 << 30),
    "golden.npz": 1 << 26,
    EYE_MEMBER: 1 << 24,
}
"""Bytes that a member may have: ten times what the paper's network needs, and no more."""

_EPOCH = (1980, 1, 1, 0, 0, 0)  # a fixed time in the zip: the date that counts is in the manifest


@dataclass(frozen=True)
class Bundle:
    """A bundle's checked manifest, and where its members are."""

    path: Path
    manifest: Manifest
    size: int

    def read(self, name: str) -> bytes:
        """One of the manifest's members, with its hash checked; a graph names nothing outside itself.

        Raises:
            BundleError: the member is damaged, not the one that the manifest names, or a graph that isn't
                self-contained.
        """
        with _open_zip(self.path) as archive:
            content = _read_member(archive, self.path, name)
        if hashlib.sha256(content).hexdigest() != self.manifest.sha256[name]:
            raise BundleError(
                f"{self.path}: {name} is not what was exported (its SHA-256 differs from the manifest's): "
                "copy the bundle again from where it was made"
            )
        if name.endswith(".onnx"):
            check_self_contained(f"{self.path}: {name}", content)
        return content

    def graphs(self) -> dict[str, bytes]:
        """Every part's graph, by part.

        Raises:
            BundleError: as `read`.
        """
        return {part: self.read(member(part)) for part in PARTS}


def read_bundle(path: Path | str) -> Bundle:
    """Open a bundle and check its layout and manifest; each member's hash is checked as it is read.

    Raises:
        BundleError: no such file, truncated, of a newer format, or no bundle at all.
    """
    path = Path(path)
    with _open_zip(path) as archive:
        _check_stored(archive, path)
        try:
            manifest = Manifest.from_yaml(_read_member(archive, path, _MANIFEST).decode())
        except UnicodeDecodeError as error:
            raise BundleError(f"{path}: manifest: is not UTF-8 text; export the bundle again") from error
        except BundleError as error:
            raise BundleError(f"{path}: {error}") from error
        _check_names(archive, path, manifest.members)
    return Bundle(path, manifest, path.stat().st_size)


def write_bundle(path: Path | str, manifest: Manifest, members: Mapping[str, bytes]) -> None:
    """Write a bundle beside its destination and rename it there, so that no half of one is ever seen.

    `manifest.sha256` must already hold the members' hashes.

    Raises:
        BundleError: there is no such folder, no room or right to write in it, or a manifest that can't be read back.
    """
    path = Path(path)
    text = manifest.to_yaml()
    try:
        Manifest.from_yaml(text)  # what would be refused is not written
    except BundleError as error:
        raise BundleError(f"{path}: is not written, since it could not be read: {error}") from error
    try:
        with whole_file(path) as partial, zipfile.ZipFile(partial, "x", zipfile.ZIP_STORED) as archive:
            archive.writestr(zipfile.ZipInfo(_MANIFEST, _EPOCH), text)
            for name in manifest.members:
                archive.writestr(zipfile.ZipInfo(name, _EPOCH), members[name])
    except OSError as error:
        raise BundleError(f"{path}: can't write it ({error.strerror}); choose another output") from error


def _open_zip(path: Path) -> zipfile.ZipFile:
    if not path.is_file():
        raise BundleError(f"{path}: no such file")
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise BundleError(f"{path}: not a canthus bundle, or cut short ({error}); copy or export it again") from error


def _check_stored(archive: zipfile.ZipFile, path: Path) -> None:
    """That there is one manifest, and that reading any member takes no more memory than it should."""
    if archive.namelist().count(_MANIFEST) != 1:
        _check_names(archive, path, MEMBERS)
    for info in archive.infolist():
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
            raise BundleError(f"{path}: {info.filename} is compressed or encrypted; members are stored as they are")
        at_most = _LARGEST.get(info.filename, info.file_size)
        if info.file_size > at_most:
            raise BundleError(f"{path}: {info.filename} claims {info.file_size} bytes; at most {at_most} are read")


def _check_names(archive: zipfile.ZipFile, path: Path, members: tuple[str, ...]) -> None:
    names, expected = sorted(archive.namelist()), sorted((_MANIFEST, *members))
    if names != expected:
        raise BundleError(
            f"{path}: holds {', '.join(names[:8]) or 'nothing'}; "
            f"a canthus bundle holds {', '.join(expected)}, once each"
        )


def _read_member(archive: zipfile.ZipFile, path: Path, name: str) -> bytes:
    try:
        return archive.read(name)
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError, KeyError) as error:
        raise BundleError(f"{path}: {name} is damaged ({error}); copy or export the bundle again") from error
