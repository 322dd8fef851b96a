"""From a scene to an AEDAT4 recording with the events and frames of one sensor."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np

from canthus.errors import RecordingError
from canthus_model.synthesize.sensor import EventCamera, EventPixels, FrameCamera

CAMERA_NAME = "DAVIS346_synthetic"
FIRST_TIME = 1_700_000_000_000_000  # microseconds: sensor clocks count from 1970
FRAMES_PER_SECOND = 30
PACKET = 10_000  # microseconds of events written together
SPARE_DISK = 64 * 2**20  # bytes to leave free: dv-processing ends the process when a disk is full
LONGEST_STEP, SHORTEST_STEP = 2_000, 500  # microseconds between looks at the scene


class Scene(Protocol):
    """What a sensor can look at; `time` is in seconds from the start."""

    def luminance(self, time: float) -> np.ndarray:
        """(height, width) float32 linear luminance, 0 or more."""

    def speed(self, time: float) -> float:
        """Pixels per second that the fastest edge moves."""


def frame_count(seconds: float) -> int:
    """How many frames a recording of `seconds` has: at least one, at 30 frames per second."""
    return max(1, round(seconds * FRAMES_PER_SECOND))


def record(
    scene: Scene,
    path: Path,
    seconds: float,
    seed: int,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> int:
    """Record `scene` for `seconds` into the AEDAT4 file `path`; return the number of events.

    The streams are `events` and `frames` of the camera `DAVIS346_synthetic`. A frame's time stamp is the
    middle of its exposure, and the first exposure begins at FIRST_TIME. `report` is called with the
    number of frames done and of all frames. The file appears when it is complete: it is written as a hidden file beside
    `path`, which any exception removes. Memory doesn't grow with `seconds`.

    Raises RecordingError if dv-processing is not installed or can't write, or the disk is nearly full.
    """
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial.aedat4")
    try:
        events = _write(scene, partial, frame_count(seconds), seed, report)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return events


def _write(scene: Scene, path: Path, frames: int, seed: int, report: Callable[[int, int], None]) -> int:
    """As `record`, straight into `path`. The file is closed when this function is left."""
    random = np.random.default_rng([seed, 2])
    camera = FrameCamera()
    luminance = scene.luminance(0.0)
    pixels = EventPixels(EventCamera(), luminance, random)
    writer = _Writer(path, luminance.shape)
    try:
        for number in range(frames):
            begin, end = (FIRST_TIME + n * 1_000_000 // FRAMES_PER_SECOND for n in (number, number + 1))
            exposed = np.zeros_like(luminance)
            for start, stop in _steps(scene, begin, end, camera.exposure):
                before, luminance = luminance, scene.luminance((stop - FIRST_TIME) * 1e-6)
                writer.add_events(pixels.step(luminance, start, stop))
                if stop <= begin + camera.exposure:
                    exposed += (before + luminance) * np.float32((stop - start) / 2 / camera.exposure)
            writer.add_frame(camera.expose(exposed, random), begin + camera.exposure // 2, camera.exposure)
            report(number + 1, frames)
        return writer.finish()
    finally:
        writer.close()


def _steps(scene: Scene, begin: int, end: int, exposure: int) -> Iterator[tuple[int, int]]:
    """Cut begin..end into steps in which edges move about a pixel; one boundary ends the exposure."""
    time = begin
    while time < end:
        pixel_time = 1e6 / max(scene.speed((time - FIRST_TIME) * 1e-6), 1e-6)
        step = int(min(max(pixel_time, SHORTEST_STEP), LONGEST_STEP))
        limit = begin + exposure if time < begin + exposure else end
        stop = min(time + step, limit)
        yield time, stop
        time = stop


class _Writer:
    """An AEDAT4 file being written, events in packets of about PACKET microseconds."""

    def __init__(self, path: Path, shape: tuple[int, int]) -> None:
        try:
            import dv_processing
        except ImportError as error:
            raise RecordingError("writing AEDAT4 needs dv-processing: pip install 'canthus[camera]'") from error
        self._dv = dv_processing
        resolution = shape[1], shape[0]
        config = dv_processing.io.MonoCameraWriter.Config(CAMERA_NAME)
        config.addEventStream(resolution)
        config.addFrameStream(resolution)
        try:
            self._file = dv_processing.io.MonoCameraWriter(str(path), config)
        except RuntimeError as error:
            raise RecordingError(f"{path.parent}: can't write here; choose another folder") from error
        self._folder = path.parent
        self._pending: list[np.ndarray] = []
        self._packet_end = FIRST_TIME + PACKET
        self._count = 0

    def add_events(self, events: np.ndarray) -> None:
        """Append an EVENT array that begins no earlier than the one before ended."""
        if events.size and events["t"][-1] >= self._packet_end:
            self._flush()
            self._packet_end = int(events["t"][-1]) // PACKET * PACKET + PACKET
        self._pending.append(events)

    def add_frame(self, image: np.ndarray, time: int, exposure: int) -> None:
        """Append a uint8 frame with the middle and length of its exposure, in microseconds."""
        source = self._dv.FrameSource.SYNTHETIC
        self._file.writeFrame(self._dv.Frame(time, exposure, 0, 0, image, source))

    def finish(self) -> int:
        """Write what is pending and return how many events there were."""
        self._flush()
        return self._count

    def close(self) -> None:
        """Close the file: dv-processing does so when the last reference to its writer goes."""
        del self._file

    def _flush(self) -> None:
        if shutil.disk_usage(self._folder).free < SPARE_DISK:
            raise RecordingError(f"{self._folder}: the disk is nearly full; free some space or record less")
        store = self._dv.EventStore()
        append = store.push_back  # a tuple each is its fastest way in
        for events in self._pending:
            for event in events.tolist():
                append(event)
            self._count += events.size
        if store.size():
            self._file.writeEvents(store)
        self._pending.clear()
