"""AEDAT4 recordings of iniVation's cameras, read by their maker's library, dv-processing."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from canthus.errors import SourceError
from canthus.events import Events
from canthus.imports import importing
from canthus.sources import Frame, Packet
from canthus.sources.aedat4_salvage import is_finished, salvaged

_DAMAGED = (RuntimeError, ValueError, IndexError)  # what dv-processing raises for files that are


class Aedat4Recording:
    """An AEDAT4 recording with the events and frames of one camera.

    A recording that breaks off in the middle is read as far as it goes, then SourceError is raised.

    Raises:
        SourceError: not a recording, without frames or events, in colour, or dv-processing isn't installed.
    """

    is_live = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self._broken_off = not is_finished(path)
        self._recording = self._open()
        self.sensor: tuple[int, int] = self._check_streams()

    def __enter__(self) -> Aedat4Recording:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._recording = None

    def __iter__(self) -> Iterator[Packet]:
        """Every frame after all events up to its time, from the beginning each time."""
        if self._recording is None:
            raise SourceError(f"{self.path}: was closed; open it again")
        self._recording.resetSequentialRead()
        events, frame = self._next_events(), self._next_frame()
        reached_us = 0
        while events is not None or frame is not None:
            if frame is None or (events is not None and events.t[0] <= frame.time_us):
                assert events is not None
                # Events that come after the frame wait until it has been given.
                ready = len(events.t) if frame is None else int(np.searchsorted(events.t, frame.time_us, "right"))
                reached_us = int(events.t[ready - 1])
                yield Events(*(array[:ready] for array in events))
                rest = Events(*(array[ready:] for array in events))
                events = rest if len(rest.t) else self._next_events()
            else:
                reached_us = frame.time_us
                yield frame
                frame = self._next_frame()
        if self._broken_off:
            raise SourceError(
                f"{self.path}: the recording breaks off at {reached_us} us; all before was read, the rest is lost"
            )

    def _open(self) -> Any:
        with importing("dv_processing", "pip install 'canthus[camera]'", SourceError, f"{self.path}: can't be read: "):
            import dv_processing as dv
        with contextlib.suppress(*_DAMAGED):
            return dv.io.MonoCameraRecording(str(self.path))
        # The table of contents at the end is cut off, or a packet is: without a table, dv-processing looks for
        # packets itself.
        self._broken_off = True
        try:
            with salvaged(self.path) as copy:
                return dv.io.MonoCameraRecording(copy)
        except _DAMAGED as error:
            raise SourceError(
                f"{self.path}: breaks off before its first packet, or its beginning is damaged"
            ) from error

    def _check_streams(self) -> tuple[int, int]:
        recording = self._recording
        for kind, available, read in (
            ("frames", recording.isFrameStreamAvailable(), self._next_frame),
            ("events", recording.isEventStreamAvailable(), self._next_events),
        ):
            if not available or read() is None:
                if available and self._broken_off:
                    raise SourceError(f"{self.path}: breaks off before there were any {kind}; record again")
                raise SourceError(f"{self.path}: has no {kind}; record with a camera that gives both (a DAVIS)")
        sensor, frames = recording.getEventResolution(), recording.getFrameResolution()
        if sensor != frames:
            raise SourceError(
                f"{self.path}: events are of a {sensor} sensor and frames of {frames}; both must come from one"
            )
        return int(sensor[0]), int(sensor[1])

    def _next_events(self) -> Events | None:
        while (batch := self._read(self._recording.getNextEventBatch)) is not None:
            array = batch.numpy()
            if len(array):
                return Events(array["timestamp"], array["x"], array["y"], array["polarity"])
        return None

    def _next_frame(self) -> Frame | None:
        frame = self._read(self._recording.getNextFrame)
        if frame is None:
            return None
        if frame.image.ndim != 2:
            raise SourceError(f"{self.path}: its frames are in colour; canthus reads grey ones, as SEE's are")
        return Frame(frame.image, int(frame.timestamp))

    def _read(self, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except _DAMAGED as error:
            cause = str(error).splitlines()[0]
            raise SourceError(f"{self.path}: is damaged here, and can't be read on: {cause}") from error
