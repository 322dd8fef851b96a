"""One child process that reads by dv-processing: started, listened to, and started again when it is gone."""

from __future__ import annotations

import logging
import os
import struct
import subprocess
import sys
import time
from collections.abc import Iterator

import numpy as np

from canthus.errors import SourceError
from canthus.events import Events
from canthus.imports import Lack
from canthus.sources import Frame, Packet
from canthus.sources.dv_child import FRAME, HEADER, SENSOR, STARTS_WITHIN_S

ANSWERS_WITHIN_S = 5.0
"""Between two messages of a child that has imported all: one that is silent for longer hangs."""
AGAIN_AFTER_S = 0.5
_MOST_BYTES = 2**28  # of one message
_READ_BYTES = 2**20

_SEE_WHY = "to see why: python -c 'import dv_processing'"

logger = logging.getLogger("canthus.sources")


class Sensor:
    """What a link's stream has: events, frames, and (width, height)."""

    def __init__(self, content: bytes) -> None:
        self.has_events, self.has_frames, width, height = SENSOR.unpack(content)
        self.size = int(width), int(height)


class DvLink:
    """A camera or a network stream, as long as it is there.

    Attributes:
        sensor: of the newest connection; None until it told.
        unplugged: how often it was there, and then no longer.
        trouble: why it isn't there, and what to do about it where the camera or sender isn't to blame.
    """

    def __init__(self, name: str, arguments: list[str]) -> None:
        self.name = name
        self.sensor: Sensor | None = None
        self.unplugged = 0
        self.trouble = Lack("it doesn't answer")
        self._arguments = arguments
        self._child: subprocess.Popen[bytes] | None = None
        self._received = bytearray()
        self._heard = self._again_at = 0.0
        self._has_begun = self._is_there = False
        self._farewell: Lack | None = None
        self._end: SourceError | None = None

    @property
    def runs(self) -> bool:
        """Whether there is a child to listen to."""
        return self._child is not None

    def fileno(self) -> int:
        """What to wait on for messages, if it runs."""
        assert self._child is not None and self._child.stdout is not None
        return self._child.stdout.fileno()

    def start(self) -> None:
        """Start a child, if there is none and it is time.

        Raises:
            SourceError: what canthus never can read came before; to look for it again is of no use.
        """
        if self._end is not None:
            self.stop()
            raise self._end
        if self.runs or time.monotonic() < self._again_at:
            return
        # A session of its own, so that Ctrl-C in the terminal is left to the app.
        self._child = subprocess.Popen(
            [sys.executable, "-m", "canthus.sources.dv_child", *self._arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._heard = time.monotonic()
        self._has_begun, self._farewell = False, None

    def receive(self) -> list[Packet]:
        """What has come; to be called when `fileno` is readable."""
        received = os.read(self.fileno(), _READ_BYTES)
        if not received:
            status = self.stop()
            self._lose(self._farewell or self._why_it_ended(status))
            return []
        self._heard = time.monotonic()
        self._received += received
        try:
            return list(self._messages())
        except (struct.error, ValueError):
            self._lose(Lack("it sends what is no packet"))
            return []

    def check(self) -> None:
        """End a child that hangs; to be called when `fileno` isn't readable."""
        silent_s = time.monotonic() - self._heard
        if self._has_begun and silent_s > ANSWERS_WITHIN_S:
            self._lose(Lack("it doesn't answer"))
        elif not self._has_begun and silent_s > STARTS_WITHIN_S:
            self._lose(Lack(f"the process that reads it hasn't started within {STARTS_WITHIN_S:g} s", _SEE_WHY))

    def stop(self) -> int | None:
        """End the child; its exit status if there was one, negative for a signal."""
        child, self._child = self._child, None
        self._received.clear()
        if child is None:
            return None
        child.kill()  # of one that has ended, the status stays
        if child.stdout is not None:
            child.stdout.close()
        return child.wait()

    def _messages(self) -> Iterator[Packet]:
        while len(self._received) >= HEADER.size:
            kind, size = HEADER.unpack_from(self._received)
            if size > _MOST_BYTES:
                raise ValueError("no camera sends so much at once")
            if len(self._received) < HEADER.size + size:
                return
            content = bytes(memoryview(self._received)[HEADER.size : HEADER.size + size])
            del self._received[: HEADER.size + size]
            packet = self._read(kind, content)
            if packet is not None:
                yield packet

    def _read(self, kind: bytes, content: bytes) -> Packet | None:
        if kind == b"S":
            self.sensor = Sensor(content)
            if self.unplugged:
                logger.warning("%s: is back", self.name)
            self._is_there = True
        elif kind == b"B":
            self._has_begun = True
        elif kind == b"P":
            self._end = SourceError(f"{self.name}: {content.decode(errors='replace')}")
        elif kind in (b"L", b"X"):
            self._farewell = Lack(*content.decode(errors="replace").split("\n", 1))
        elif kind == b"E":
            count = len(content) // 13
            fields = zip((np.int64, np.int16, np.int16, np.uint8), (0, 8, 10, 12), strict=True)
            return Events(*(np.frombuffer(content, dtype, count, place * count) for dtype, place in fields))
        elif kind == b"F":
            time_us, width, height = FRAME.unpack_from(content)
            return Frame(np.frombuffer(content, np.uint8, offset=FRAME.size).reshape(height, width), time_us)
        return None

    def _why_it_ended(self, status: int | None) -> Lack:
        if self._has_begun:
            return Lack("what it sends makes dv-processing crash")
        return Lack(f"the process that reads it ended at its start, with status {status}", _SEE_WHY)

    def _lose(self, why: Lack) -> None:
        self.trouble = why
        self.stop()
        self._again_at = time.monotonic() + AGAIN_AFTER_S
        if self._is_there:
            self._is_there = False
            self.unplugged += 1
            logger.warning("%s: is gone (%s); looked for every %g s from now on", self.name, why.what, AGAIN_AFTER_S)
