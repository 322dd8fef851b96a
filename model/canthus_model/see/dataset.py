"""A SEE folder: its sequences, checked before anything long is begun."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from canthus.errors import DataSetError
from canthus_model.see.annotation import Entry, Problems, read_annotation

ANNOTATION = "emotion.json"
_KINDS = {"frame": "frames", "event": "event images"}  # folders, and what is in them
_ENDINGS = (".jpg", ".JPG", ".jpeg", ".JPEG")
_START_OF_IMAGE, _END_OF_IMAGE = b"\xff\xd8", b"\xff\xd9"


@dataclass(frozen=True)
class Sequence:
    """One sequence on disk: what is known of it, and where its frames and event images lie."""

    entry: Entry
    frame: Path
    event: Path
    endings: tuple[str, str] = (".jpg", ".jpg")  # of frames and of event images

    @property
    def name(self) -> str:
        return self.entry.name

    @property
    def lighting(self) -> str:
        """One of `names.LIGHTINGS`."""
        return self.entry.parts.lighting

    @property
    def label(self) -> str:
        return self.entry.label

    def images(self) -> Iterator[Path]:
        """Every image of its segment, frames first."""
        for folder, ending in self.folders():
            for number in range(*self.entry.segment):
                yield image_path(folder, number, ending)

    def folders(self) -> Iterator[tuple[Path, str]]:
        """Where its frames and where its event images lie, each with what their names end with."""
        return zip((self.frame, self.event), self.endings, strict=True)


@dataclass(frozen=True)
class See:
    """`labels` in the order of a network's outputs, and the sequences of the subset that was asked for."""

    root: Path
    labels: tuple[str, ...]
    sequences: tuple[Sequence, ...]


def image_path(folder: Path, number: int, ending: str = ".jpg") -> Path:
    """Where image `number` of a sequence lies."""
    return folder / f"{number:05}{ending}"


def open_see(
    root: Path | str,
    subset: str,
    report: Callable[[int, int], None] = lambda done, total: None,
    *,
    ends: bool = True,
) -> See:
    """Open the data set in `root`, and look for every image of `subset` ("training" or "testing").

    Of each image only its first and last bytes are read, which tells a cut-off copy; without `ends` none is opened,
    for who decodes all of them next. `report` is called with the sequences looked at and their number.

    Raises:
        DataSetError: no data set, or one of frames or events alone; no sequence of this subset; images missing or
            cut off, an annotation that can't be used: all are counted, the first ones named.
    """
    root = Path(root)
    if not root.is_dir():
        raise DataSetError(f"{root}: no such folder; give the SEE folder, which holds emotion.json, frame/ and event/")
    annotation = read_annotation(root / ANNOTATION)
    entries = [entry for entry in annotation.entries if entry.subset == subset]
    if not entries:
        raise DataSetError(f"{root / ANNOTATION}: lists no sequence of the subset '{subset}'")
    find = _Folders(root)
    sequences, problems = [], Problems()
    for entry in entries:
        sequence = Sequence(entry, find.of("frame", entry), find.of("event", entry))
        sequences.append(_checked(sequence, problems, ends))
        report(len(sequences), len(entries))
    problems.raise_any(root, "copy the data set again")
    return See(root, annotation.labels, tuple(sequences))


class _Folders:
    """Folders of sequences. SEE's own instructions spell a label's folder `neutraL`: case is no matter."""

    def __init__(self, root: Path) -> None:
        there = [kind for kind in _KINDS if (root / kind).is_dir()]
        if len(there) == 1:
            (missing,) = _KINDS.keys() - there
            raise DataSetError(
                f"{root}: has {_KINDS[there[0]]} but no {_KINDS[missing]}, no folder {missing}/; the network joins "
                "both, and is trained and evaluated on both: give a data set that has them"
            )
        self._labels = {kind: {folder.name.lower(): folder for folder in _list(root / kind)} for kind in _KINDS}
        self._root = root

    def of(self, kind: str, entry: Entry) -> Path:
        label = self._labels[kind].get(entry.label.lower(), self._root / kind / entry.label)
        return label / entry.name


def _list(folder: Path) -> Iterable[Path]:
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise DataSetError(f"{folder}: no such folder; a SEE folder holds emotion.json, frame/ and event/") from error


def _checked(sequence: Sequence, problems: Problems, ends: bool) -> Sequence:
    """The sequence, with what the names of its images end with."""
    endings = []
    for folder in (sequence.frame, sequence.event):
        try:
            present = {path.name for path in folder.iterdir()}
        except OSError:
            problems.add("missing sequence folders", str(folder))
            endings.append(_ENDINGS[0])
            continue
        numbers = range(*sequence.entry.segment)
        ending = next((e for e in _ENDINGS if image_path(folder, numbers[0], e).name in present), _ENDINGS[0])
        endings.append(ending)
        wanted = [image_path(folder, number, ending) for number in numbers]
        missing = [path for path in wanted if path.name not in present]
        if missing:
            problems.add("sequences with missing images", f"{missing[0]} (and {len(missing) - 1} more of it)")
        for path in wanted if ends else []:
            if path.name in present and not _is_whole(path):
                problems.add("images that are cut off or not JPEGs", str(path))
    return replace(sequence, endings=(endings[0], endings[1]))


def _is_whole(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            begins = file.read(2) == _START_OF_IMAGE
            file.seek(-2, os.SEEK_END)
            return begins and file.read(2) == _END_OF_IMAGE
    except OSError:
        return False
