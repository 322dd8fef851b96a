"""AEDAT4 recordings of iniVation's cameras, read by their maker's library, dv-processing."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from canthus.errors import FrameError, SourceError
from canthus.events import Events
from canthus.imports import importing
from canthus.sources import Frame, Packet
from canthus.sources.aedat4_header import cameras, is_finished
from canthus.sources.aedat4_salvage import salvaged
from canthus.sources.choose_camera import choose_camera
from canthus.sources.grey import GreyFrames
from canthus.sources.in_order import in_order
from canthus.view import View

_DAMAGED = (RuntimeError, ValueError, IndexError)  # what dv-processing raises for files that are


class Aedat4Recording:
    """An AEDAT4 recording with the events and frames of one camera.

    A recording that breaks off in the middle is read as far as it goes, then SourceError is raised.

    Args:
        path: the file.
        camera: which, where the recording is of several; None for the only one that gives both.

    Attributes:
        camera: its name; None if the recording doesn't say.

    Raises:
        SourceError: not a recording, without frames or events, in colour, of several cameras of which none was chosen,
            or dv-processing isn't installed.
    """

    is_live = False
    view = View()

    def __init__(self, path: Path, camera: str | None = None) -> None:
        self.path = path
        self._broken_off = not is_finished(path)
        self.camera = self._choose(camera)
        self._recording = self._open()
        self._grey = GreyFrames()
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
        self._grey = GreyFrames()
        reached_us = 0
        for packet in in_order(iter(self._next_events, None), iter(self._next_frame, None)):
            reached_us = int(packet.t[-1]) if isinstance(packet, Events) else packet.time_us
            yield packet
        if self._broken_off:
            raise SourceError(
                f"{self.path}: the recording breaks off at {reached_us} us; all before was read, the rest is lost"
            )

    def _choose(self, camera: str | None) -> str | None:
        found = cameras(self.path)
        if camera is None and len(found) < 2:  # what it lacks is told as it is read
            return next(iter(found), None)
        try:
            return choose_camera(found, camera)
        except SourceError as error:
            raise SourceError(f"{self.path}: {error}") from None

    def _open(self) -> Any:
        with importing("dv_processing", "pip install 'canthus[camera]'", SourceError, f"{self.path}: can't be read: "):
            import dv_processing as dv
        chosen = () if self.camera is None else (self.camera,)
        with contextlib.suppress(*_DAMAGED):
            return dv.io.MonoCameraRecording(str(self.path), *chosen)
        # The table of contents at the end is cut off, or a packet is: without a table, dv-processing looks for
        # packets itself.
        self._broken_off = True
        try:
            with salvaged(self.path) as copy:
                return dv.io.MonoCameraRecording(copy, *chosen)
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
        try:
            return Frame(self._grey(frame.image), int(frame.timestamp))
        except FrameError as error:
            raise SourceError(f"{self.path}: {error}") from None

    def _read(self, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except _DAMAGED as error:
            cause = str(error).splitlines()[0]
            raise SourceError(f"{self.path}: is damaged here, and can't be read on: {cause}") from error
