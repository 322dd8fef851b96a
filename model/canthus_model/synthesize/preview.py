"""A contact sheet of a recording: frames above, the events around each of them below."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from canthus.errors import RecordingError
from canthus.imports import importing
from canthus_model.config import NO_EVENT

COLUMNS = 6
WINDOW = 33_333  # microseconds of events shown, centred on the frame's exposure
GAP = 4  # pixels between pictures


def check(path: Path) -> None:
    """Raise RecordingError unless a picture can be written to `path`."""
    with importing("PIL", "pip install 'canthus[see]'", RecordingError, "--preview: "):
        import PIL.Image  # noqa: F401
    if path.suffix.lower() != ".png":
        raise RecordingError(f"{path}: a preview is a PNG picture; give it a name that ends in .png")
    if path.is_dir() or not path.parent.is_dir():
        raise RecordingError(f"{path}: not a file in an existing folder; create the folder first")


def write_contact_sheet(recording: Path, path: Path) -> None:
    """Write the PNG `path`: of each sixth of `recording`, a moment that is livelier than most.

    Event pixels are white for ON, black for OFF (whichever came last) and grey without events.
    """
    from PIL import Image

    margin = ((0, GAP), (0, GAP))
    pairs = [np.vstack([np.pad(image, margin) for image in pair]) for pair in _lively_moments(recording)]
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial.png")
    try:
        Image.fromarray(np.hstack(pairs)).save(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _lively_moments(recording: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Frame and event image, uint8 both, of a frame in each part of the recording: of ten there, two have more events.

    The liveliest of all would be blinks.
    """
    parts: dict[int, list[tuple[int, int]]] = {}
    for part, frame, events in _frames(recording):
        parts.setdefault(part, []).append((events.size, frame.timestamp))
    chosen = {sorted(counts)[len(counts) * 8 // 10][1] for counts in parts.values()}
    return [
        (frame.image, _event_image(events, frame.image.shape))
        for _, frame, events in _frames(recording)
        if frame.timestamp in chosen
    ]


def _frames(recording: Path) -> Iterator[tuple[int, Any, np.ndarray]]:
    """In which part of the recording it is, each frame, and the events around it."""
    import dv_processing

    reader = dv_processing.io.MonoCameraRecording(str(recording))
    first, last = reader.getTimeRange()
    while (frame := reader.getNextFrame()) is not None:
        begin = frame.timestamp - WINDOW // 2
        events = reader.getEventsTimeRange(begin, begin + WINDOW).numpy()
        yield min(COLUMNS - 1, (frame.timestamp - first) * COLUMNS // max(1, last - first)), frame, events


def _event_image(events: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    image = np.full(shape, NO_EVENT, np.uint8)
    image[events["y"], events["x"]] = np.where(events["polarity"] > 0, 255, 0)
    return image
