"""AEDAT4 recordings of iniVation's cameras, read by their maker's library, dv-processing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from canthus.errors import SourceError
from canthus.events import Events
from canthus.sources import Frame, Packet
from canthus.sources.aedat4_salvage import salvaged


class Aedat4Recording:
    """An AEDAT4 recording with the events and frames of one camera.

    A recording that breaks off in the middle is read as far as it goes, then SourceError is raised.

    Raises:
        SourceError: not a recording, without frames or events, in colour, or dv-processing isn't installed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._resources = contextlib.ExitStack()
        self._broken_off = False
        self._recording = self._open()
        self.sensor: tuple[int, int] = self._check_streams()

    def __enter__(self) -> Aedat4Recording:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._recording = None
        self._resources.close()

    def __iter__(self) -> Iterator[Packet]:
        """Every frame after all events up to its time."""
        events, frame = self._next_events(), self._next_frame()
        while events is not None or frame is not None:
            if frame is None or (events is not None and events.t[0] <= frame.time_us):
                assert events is not None
                # Events that come after the frame wait until it has been given.
                ready = len(events.t) if frame is None else int(np.searchsorted(events.t, frame.time_us, "right"))
                yield Events(*(array[:ready] for array in events))
                rest = Events(*(array[ready:] for array in events))
                events = rest if len(rest.t) else self._next_events()
            else:
                yield frame
                frame = self._next_frame()
        if self._broken_off:
            raise SourceError(f"{self.path}: the recording breaks off here; what came before was used")

    def _open(self) -> Any:
        try:
            import dv_processing as dv
        except ImportError as error:
            raise SourceError(f"{self.path}: reading it needs dv-processing: pip install 'canthus[camera]'") from error
        try:
            return dv.io.MonoCameraRecording(str(self.path))
        except RuntimeError as error:
            if "FileDataTable" not in str(error):
                raise SourceError(f"{self.path}: not an AEDAT4 recording, or its beginning is damaged") from error
        # The table of contents at the end is missing: without it, dv-processing looks for packets itself.
        self._broken_off = True
        try:
            return dv.io.MonoCameraRecording(self._resources.enter_context(salvaged(self.path)))
        except RuntimeError as error:
            self._resources.close()
            raise SourceError(f"{self.path}: the recording breaks off before its first packet") from error

    def _check_streams(self) -> tuple[int, int]:
        recording = self._recording
        for kind, available in (
            ("frames", recording.isFrameStreamAvailable()),
            ("events", recording.isEventStreamAvailable()),
        ):
            if not available:
                raise SourceError(f"{self.path}: has no {kind}; record with a camera that gives both (a DAVIS)")
        sensor, frames = recording.getEventResolution(), recording.getFrameResolution()
        if sensor != frames:
            raise SourceError(
                f"{self.path}: events are of a {sensor} sensor and frames of {frames}; both must come from one"
            )
        return int(sensor[0]), int(sensor[1])

    def _next_events(self) -> Events | None:
        while (batch := self._recording.getNextEventBatch()) is not None:
            array = batch.numpy()
            if len(array):
                return Events(array["timestamp"], array["x"], array["y"], array["polarity"])
        return None

    def _next_frame(self) -> Frame | None:
        frame = self._recording.getNextFrame()
        if frame is None:
            return None
        if frame.image.ndim != 2:
            raise SourceError(f"{self.path}: its frames are in colour; canthus reads grey ones, as SEE's are")
        return Frame(frame.image, int(frame.timestamp))
