"""The newest frame and its event image, as a page draws them."""

from __future__ import annotations

import base64
import threading
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from canthus._native import EventWindow
from canthus.engine import Engine
from canthus.errors import EventError
from canthus.events import Events, prepare
from canthus.sources import Packet

_KEPT_US = 1_000_000  # of the newest frame, before and after: a time further off is damage, or of a clock that was set
_KEPT_EVENTS = 4_000_000
_LAST_US = 2**62  # as of a live stream


class _Moment(NamedTuple):
    """A frame, and its event image where the source has one."""

    time_us: int
    frame: NDArray[np.uint8]
    event: NDArray[np.uint8] | None


class Pictures:
    """Keeps what is needed to draw the newest moment, and draws it for those who ask.

    Taking a packet costs the feeding thread a copy; the images are made on the asking one.
    """

    def __init__(self, engine: Engine, sensor: tuple[int, int]) -> None:
        self._engine = engine
        self._sensor = sensor
        self._lock = threading.Lock()  # of all below; `_encoding` is held for longer, and only by those who ask
        self._encoding = threading.Lock()
        self._window = self._new_window()
        self._newest: _Moment | None = None
        self._encoded: tuple[_Moment, dict[str, object]] | None = None

    def take(self, packet: Packet) -> None:
        """Keep a copy of what a source gave; what makes no picture is left out, since the live stream tells of it."""
        if isinstance(packet, Events):
            self._take_events(packet)
            return
        images = [np.array(image) for image in packet[:-1]]
        shape = (self._sensor[1], self._sensor[0])
        if any(image.shape != shape or image.dtype != np.uint8 for image in images) or abs(packet.time_us) > _LAST_US:
            return
        with self._lock:
            if self._newest is not None and abs(packet.time_us - self._newest.time_us) > _KEPT_US:
                self._window = self._new_window()
            self._newest = _Moment(packet.time_us, images[0], images[1] if len(images) > 1 else None)

    def newest(self) -> dict[str, object] | None:
        """`time_us`, and `frame` and `event` as base64 of their grey levels, row by row; None before the first frame.

        The same object is given until there is a newer frame.
        """
        with self._encoding:
            with self._lock:
                moment, window = self._newest, self._window
            if moment is None:
                return None
            if self._encoded is None or self._encoded[0] is not moment:
                event = self._accumulate(window, moment.time_us) if moment.event is None else moment.event
                encoded = {"time_us": moment.time_us, "frame": _base64(moment.frame), "event": _base64(event)}
                self._encoded = moment, encoded
            return self._encoded[1]

    def _take_events(self, packet: Events) -> None:
        with self._lock:
            moment, window = self._newest, self._window
        if moment is None:
            return
        try:
            earliest, latest = moment.time_us - _KEPT_US, moment.time_us + _KEPT_US
            window.insert(*prepare(packet), earliest, latest, useful_from=earliest)
        except EventError:
            return

    def _accumulate(self, window: EventWindow, time_us: int) -> NDArray[np.uint8]:
        try:
            return window.image(time_us, self._engine.window_us)
        except IndexError:  # so many events came since then that its own were let go
            return self._new_window().image(time_us, self._engine.window_us)

    def _new_window(self) -> EventWindow:
        engine = self._engine
        return EventWindow(*self._sensor, engine.event_contribution, engine.event_neutral, _KEPT_US, _KEPT_EVENTS)


def _base64(image: NDArray[np.uint8]) -> str:
    return base64.b64encode(image.tobytes()).decode("ascii")
