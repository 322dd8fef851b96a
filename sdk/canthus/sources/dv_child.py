"""The process that reads one camera or network stream by dv-processing, and passes on what it gives.

A process of its own, since what is wrong with a cable or a sender may hang dv-processing, with all of Python, or end
it: connecting to a server that says nothing never returns, and damaged packets call `std::terminate`.

    python -m canthus.sources.dv_child camera [SERIAL_NUMBER]
    python -m canthus.sources.dv_child HOST PORT

Messages on the standard output are a kind and the size of what follows, HEADER; then, by kind:
    B   once, nothing: all is imported, and from now on it isn't silent for long unless it hangs
    S   once: has events?, has frames?, width, height; SENSOR
    E   events: t int64, x int16, y int16, p uint8, one array after the other
    F   a frame: time, width, height, FRAME; then its pixels
    A   nothing: still alive
    L   what it lacks to begin at all, and on a second line the remedy, as text
    P   why it ends, and would again, as text
    X   why it ends for now, as text
"""

from __future__ import annotations

import signal
import socket
import struct
import sys
import time
from typing import Any

import numpy as np

from canthus.errors import Error
from canthus.imports import import_lack
from canthus.sources.choose_camera import choose_camera
from canthus.sources.grey import GreyFrames

HEADER, SENSOR, FRAME = struct.Struct("<cI"), struct.Struct("<??II"), struct.Struct("<qII")
STARTS_WITHIN_S = 60
"""Imports take a second on a fast device; a slow one that does much else may need many."""
ALIVE_EVERY_S = 0.5
_HANGS_AFTER_S = 10
_NOTHING_NEW_S = 0.0005


def main(arguments: list[str]) -> None:
    """Read until the camera or connection is gone, or the reader of the output."""
    _live_on(STARTS_WITHIN_S)
    try:
        import dv_processing as dv
    except Exception as error:  # whatever a broken package raises
        _send(b"L", "\n".join(import_lack(error, "dv_processing", "pip install 'canthus[camera]'")).encode())
        return
    _live_on()
    try:
        _send(b"B", b"")
        _pass_on(_open(dv, arguments))
    except BrokenPipeError:
        return
    except Error as error:
        _send(b"P", str(error).encode())
    except Exception as error:  # whatever dv-processing raises
        _send(b"X", str(error).splitlines()[0].split(" [system")[0].encode())


def _open(dv: Any, arguments: list[str]) -> Any:
    if arguments[0] != "camera":
        return dv.io.NetworkReader(socket.gethostbyname(arguments[0]), int(arguments[1]))
    found = {camera.serialNumber: {"events", "frames"} for camera in dv.io.camera.discover()}  # each may give both
    wanted = arguments[1] if arguments[1:] else None
    if not found or (wanted is not None and wanted not in found):
        raise RuntimeError("no camera is found" if wanted is None else f"the camera {wanted} is not found")
    return dv.io.camera.open(choose_camera(found, wanted))


def _pass_on(reader: Any) -> None:
    has_events, has_frames = reader.isEventStreamAvailable(), reader.isFrameStreamAvailable()
    width, height = reader.getEventResolution() if has_events else reader.getFrameResolution() or (0, 0)
    _send(b"S", SENSOR.pack(has_events, has_frames, width, height))
    told, grey = time.monotonic(), GreyFrames()
    while reader.isRunning():
        events = reader.getNextEventBatch() if has_events else None
        frame = reader.getNextFrame() if has_frames else None
        if events is not None:
            _send_events(events.numpy())
        if frame is not None:
            image = grey(frame.image)
            _send(b"F", FRAME.pack(frame.timestamp, *image.shape[::-1]) + image.tobytes())
        if events is None and frame is None:
            time.sleep(_NOTHING_NEW_S)
        if time.monotonic() - told > ALIVE_EVERY_S:
            told = time.monotonic()
            _send(b"A", b"")
            _live_on()
    raise RuntimeError("the connection is lost")


def _live_on(seconds: int = _HANGS_AFTER_S) -> None:
    """Let the system end this process if it hangs and its parent is no longer there to end it."""
    signal.alarm(seconds)


def _send_events(events: Any) -> None:
    fields = (("timestamp", np.int64), ("x", np.int16), ("y", np.int16), ("polarity", np.uint8))
    _send(b"E", b"".join(events[name].astype(dtype).tobytes() for name, dtype in fields))


def _send(kind: bytes, content: bytes) -> None:
    sys.stdout.buffer.write(HEADER.pack(kind, len(content)) + content)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
