"""Writing what a sensor gave into an AEDAT4 recording."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import TracebackType

import numpy as np

from canthus.errors import RecordingError
from canthus.imports import importing
from canthus_model.synthesize.anatomy import HEIGHT, WIDTH
from canthus_model.synthesize.simulation import Moment

CAMERA_NAME = "DAVIS346_synthetic"
PACKET = 10_000  # microseconds of events written together
SPARE_DISK = 64 * 2**20  # bytes to leave free: dv-processing ends the process when a disk is full


class Recording:
    """An AEDAT4 file with the streams `events` and `frames` of the camera `DAVIS346_synthetic`.

    A frame's time stamp is the middle of its exposure. The file appears when the context is left: it is written
    as a hidden file beside `path`, which any exception removes. Memory doesn't grow with its length.

        with Recording(path) as recording:
            for moment in simulate(...):
                recording.add(moment)

    Raises RecordingError if dv-processing is not installed or can't write, or the disk is nearly full.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._partial = path.with_name(f".{path.stem}.{os.getpid()}.partial.aedat4")

    def __enter__(self) -> Recording:
        try:
            self._writer = _Writer(self._partial)
        except BaseException:
            self._partial.unlink(missing_ok=True)
            raise
        return self

    def add(self, moment: Moment) -> None:
        """Append the frame and events of the next moment."""
        self._writer.add_events(moment.events)
        self._writer.add_frame(moment.frame, moment.time, moment.exposure)

    @property
    def events(self) -> int:
        """How many events were added."""
        return self._writer.count

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._writer.close()
            if error is None:
                self._partial.replace(self._path)
        finally:
            self._partial.unlink(missing_ok=True)


class _Writer:
    """An AEDAT4 file being written, events in packets of at most PACKET microseconds."""

    def __init__(self, path: Path) -> None:
        with importing("dv_processing", "pip install 'canthus[camera]'", RecordingError, "AEDAT4 can't be written: "):
            import dv_processing
        self._dv = dv_processing
        config = dv_processing.io.MonoCameraWriter.Config(CAMERA_NAME)
        config.addEventStream((WIDTH, HEIGHT))
        config.addFrameStream((WIDTH, HEIGHT))
        try:
            self._file = dv_processing.io.MonoCameraWriter(str(path), config)
        except RuntimeError as error:
            raise RecordingError(f"{path.parent}: can't write here; choose another folder") from error
        self._folder = path.parent
        self.count = 0

    def add_events(self, events: np.ndarray) -> None:
        """Append a sensor.EVENT array that begins no earlier than the one before ended."""
        if shutil.disk_usage(self._folder).free < SPARE_DISK:
            raise RecordingError(f"{self._folder}: the disk is nearly full; free some space or record less")
        times = events["t"]
        bounds = np.arange(times[0] // PACKET + 1, times[-1] // PACKET + 1) * PACKET if events.size else []
        for packet in np.split(events, np.searchsorted(times, bounds)):
            store = self._dv.EventStore()
            append = store.push_back  # a tuple each is its fastest way in
            for event in packet.tolist():
                append(event)
            if store.size():
                self._file.writeEvents(store)
        self.count += events.size

    def add_frame(self, image: np.ndarray, time: int, exposure: int) -> None:
        """Append a uint8 frame with the middle and length of its exposure, in microseconds."""
        source = self._dv.FrameSource.SYNTHETIC
        self._file.writeFrame(self._dv.Frame(time, exposure, 0, 0, image, source))

    def close(self) -> None:
        """Close the file: dv-processing does so when the last reference to its writer goes."""
        del self._file
