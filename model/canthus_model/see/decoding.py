"""Every image of a data set decoded once, before anything long is begun on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import NamedTuple

from canthus.errors import DataSetError
from canthus_model.see.annotation import Problems
from canthus_model.see.dataset import See
from canthus_model.see.moments import size_of
from canthus_model.see.remembered import Remembered, digest_of
from canthus_model.workers import obey_the_parent

Report = Callable[[int, int], None]

_BROKEN, _MISSING = "images that can't be decoded", "images that went away while they were looked at"


class _Folder(NamedTuple):
    images: list[Path]
    root: Path
    size: tuple[int, int]  # (width, height) that all must have


class _Found(NamedTuple):
    digest: str
    problems: list[tuple[str, str]]  # kind, detail


def check_images(subsets: Sequence[See], workers: int, report: Report = lambda done, total: None) -> None:
    """Decode every image of some subsets of one data set, but those that were found in order before.

    Args:
        workers: processes that decode; with 0 this one does.
        report: called with the images looked at and their number.

    Raises:
        DataSetError: images that can't be decoded, or of another size than the data set's first one: all are counted,
            the first ones named. Or a process was ended from outside.
    """
    root, first = subsets[0].root, next(subsets[0].sequences[0].images())
    size = size_of(first)
    folders = [_Folder(images, root, size) for see in subsets for images in _folders(see)]
    total, done = sum(len(folder.images) for folder in folders), 0
    remembered, problems = Remembered(root), Problems()
    try:
        for folder, found in zip(folders, _look(folders, workers, remembered.known), strict=True):
            for kind, detail in found.problems:
                problems.add(kind, detail)
            if not found.problems:
                remembered.add(found.digest)
            done += len(folder.images)
            report(done, total)
    finally:
        remembered.keep()
    problems.raise_any(root, "copy the data set again, or take these sequences out of its annotation")


def _folders(see: See) -> Iterator[list[Path]]:
    for sequence in see.sequences:
        images = list(sequence.images())
        yield images[: len(images) // 2]
        yield images[len(images) // 2 :]


def _look(folders: list[_Folder], workers: int, known: frozenset[str]) -> Iterator[_Found]:
    if workers == 0:
        yield from (_look_at(folder, known) for folder in folders)
        return
    pool = ProcessPoolExecutor(workers, initializer=_begin, initargs=(known,))
    try:
        yield from pool.map(_look_here, folders, chunksize=4)
    except (BrokenProcessPool, OSError) as error:
        raise DataSetError(f"decoding in {workers} processes failed ({error}); take fewer --workers, or 0") from error
    finally:
        pool.shutdown(cancel_futures=True)


def _look_at(folder: _Folder, known: frozenset[str]) -> _Found:
    try:
        digest = digest_of(folder.images, folder.root, f"{folder.size}")
    except OSError as error:
        return _Found("", [(_MISSING, f"{error.filename}")])
    return _Found(digest, [] if digest in known else list(_problems(folder)))


def _problems(folder: _Folder) -> Iterator[tuple[str, str]]:
    width, height = folder.size
    for path in folder.images:
        try:
            size = size_of(path, decode=True)
        except DataSetError as error:
            yield _BROKEN, str(error).partition("; copy")[0]
            continue
        if size != folder.size:
            yield f"images of another size than the first one, {width}x{height}", f"{path} is {size[0]}x{size[1]}"
            return  # its folder's others are as it is


# In a process that decodes.

_known: frozenset[str]


def _begin(known: frozenset[str]) -> None:
    global _known
    _known = known
    obey_the_parent()


def _look_here(folder: _Folder) -> _Found:
    return _look_at(folder, _known)
