"""A synthetic data set with exactly SEE's layout."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from pathlib import Path
from typing import NamedTuple

import numpy as np

from canthus import _native
from canthus.errors import RecordingError
from canthus_model.config import LABELS
from canthus_model.see.annotation import TESTING, TRAINING
from canthus_model.see.dataset import ANNOTATION, image_path
from canthus_model.see.names import LIGHTINGS, SequenceName
from canthus_model.synthesize.anatomy import HEIGHT, WIDTH
from canthus_model.synthesize.face import draw_face
from canthus_model.synthesize.recording import SPARE_DISK, Recording
from canthus_model.synthesize.take import Take
from canthus_model.workers import cores, obey_the_parent

WINDOW = 33_000  # microseconds of events in an event image
JPEG_QUALITY = 95
RAW = "raw"  # folder of the AEDAT4 recordings
_TESTED = 4  # every fourth volunteer is in the testing subset
_LENGTH = (18, 131)  # frames: SEE's shortest and longest sequence
_MEDIAN_LENGTH = 46


class Planned(NamedTuple):
    """One sequence of the data set."""

    name: SequenceName
    subset: str
    take: Take


def plan(volunteers: int, seed: int) -> list[Planned]:
    """Every sequence of a data set: each volunteer shows each expression in each lighting once.

    Every fourth volunteer is in the testing subset, so no face is in both.
    """
    planned = []
    for volunteer in range(1, volunteers + 1):
        face = draw_face(seed, volunteer)
        random = np.random.default_rng([seed, volunteer, 0])
        degree = str(random.choice(["undergraduate", "Master", "Doctor"], p=[0.65, 0.2, 0.15]))
        for take, (label, lighting) in enumerate((x, y) for x in LABELS for y in LIGHTINGS):
            frames = int(np.clip(round(_MEDIAN_LENGTH * np.exp(random.normal(0, 0.45))), *_LENGTH))
            number = len(planned)
            sex = "woman" if face.woman else "man"
            name = SequenceName(number + 1, f"{volunteer:03}", sex, face.age, degree, lighting, label, frames, take)
            subset = TESTING if volunteer % _TESTED == 0 else TRAINING
            planned.append(Planned(name, subset, Take(seed, volunteer, number, (label,), (1.0,), lighting, frames)))
    return planned


def write_data_set(
    root: Path, volunteers: int, seed: int, *, raw: bool, report: Callable[[int, int], None] = lambda done, total: None
) -> int:
    """Write a data set into `root`, on all cores, and return how many sequences it has.

    `raw` adds the AEDAT4 recording of each sequence, `root/raw/LABEL/NAME.aedat4`. `root` appears when it is
    complete; any exception removes what there is. `report` is called with the sequences done and their number.

    Raises:
        RecordingError: `root` exists, or can't be written.
    """
    if root.exists():
        raise RecordingError(f"{root}: exists already; give a new folder, or remove it first")
    planned = plan(volunteers, seed)
    partial = root.with_name(f".{root.name}.{os.getpid()}.partial")
    try:
        partial.mkdir()
        for done, _ in enumerate(_film(planned, partial, raw)):
            report(done + 1, len(planned))
        (partial / ANNOTATION).write_text(json.dumps(_annotation(planned), indent=1), encoding="utf-8")
        partial.rename(root)
    except OSError as error:
        raise RecordingError(f"{root}: can't be written ({error.strerror or error}); nothing was left there") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return len(planned)


def _film(planned: list[Planned], root: Path, raw: bool) -> Iterator[None]:
    """Film all of it in worker processes; yields once for each sequence that is done."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(cores(), mp_context=context, initializer=obey_the_parent) as pool:
        waiting = {pool.submit(write_sequence, entry, root, raw) for entry in planned}
        try:
            while waiting:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
                    yield
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def write_sequence(planned: Planned, root: Path, raw: bool) -> None:
    """Film one sequence into the data set in `root`."""
    from PIL import Image

    if shutil.disk_usage(root).free < SPARE_DISK:
        raise RecordingError(f"{root.parent}: the disk is nearly full; free some space or take fewer volunteers")
    label, name = planned.name.emotion, str(planned.name)
    folders = [root / kind / label / name for kind in ("frame", "event")]
    for folder in folders:
        folder.mkdir(parents=True)
    window = _native.EventWindow(WIDTH, HEIGHT)
    moments = planned.take.moments(lead_in=1)
    lead_in = next(moments)
    _push(window, lead_in.events)

    path = root / RAW / label / f"{name}.aedat4"
    if raw:
        path.parent.mkdir(parents=True, exist_ok=True)
    with Recording(path) if raw else contextlib.nullcontext() as recording:
        for number, moment in enumerate(moments):
            _push(window, moment.events)
            for folder, image in zip(folders, (moment.frame, window.image(moment.time, WINDOW)), strict=True):
                Image.fromarray(image).save(image_path(folder, number), quality=JPEG_QUALITY)
            if recording:
                recording.add(moment)


def _push(window: _native.EventWindow, events: np.ndarray) -> None:
    x, y = (np.ascontiguousarray(events[axis]).view(np.uint16) for axis in ("x", "y"))
    window.push(np.ascontiguousarray(events["t"]), x, y, np.ascontiguousarray(events["p"]).view(np.uint8))


def _annotation(planned: list[Planned]) -> dict[str, object]:
    return {
        "labels": list(LABELS),
        "database": {
            str(name): {"subset": subset, "annotations": {"label": name.emotion, "segment": [0, name.length]}}
            for name, subset, _ in planned
        },
    }
