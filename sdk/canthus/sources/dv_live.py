"""Live cameras: iniVation's on USB, or any that dv-processing sends over the network."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from multiprocessing.connection import wait
from types import TracebackType

from canthus.errors import SourceError
from canthus.sources import Packet
from canthus.sources.dv_link import DvLink
from canthus.view import View

_WAKE_S = 0.1
_ADDRESS = re.compile(r"tcp://(?P<host>[A-Za-z0-9.-]+):(?P<events>\d{1,5}),(?P<frames>\d{1,5})")


class LiveCamera:
    """The events and frames of a camera as they come, also after it was unplugged or its sender was gone.

    While it is gone no packets come; it is looked for every half second, and the logger `canthus.sources` tells of
    it. Iteration ends when the source is closed, from any thread.

    Args:
        name: as the user calls it.
        readers: for each stream, or for all in one, the arguments of `canthus.sources.dv_child`.
        remedy: what to do when there is nothing.

    Raises:
        SourceError: it isn't there, or has no events or frames.
    """

    is_live = True
    view = View()

    def __init__(self, name: str, readers: list[list[str]], remedy: str) -> None:
        self._name = name
        self._links = [DvLink(name if len(readers) == 1 else " ".join(reader), reader) for reader in readers]
        self._closed = False
        self._lock = threading.Lock()  # held while the links are looked at
        self._early: list[Packet] = []
        try:
            self._connect(remedy)
            self.sensor = self._check_streams()
        except BaseException:
            self.close()
            raise

    @property
    def unplugged(self) -> int:
        """How often the camera, or a stream of it, was lost."""
        return sum(link.unplugged for link in self._links)

    def __enter__(self) -> LiveCamera:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the camera; iteration ends."""
        self._closed = True
        with self._lock:
            for link in self._links:
                link.stop()

    def __iter__(self) -> Iterator[Packet]:
        yield from self._early
        self._early.clear()
        while not self._closed:
            for packet in self._receive():
                if self._closed:
                    return
                yield packet
            self._check_sensor()

    def _receive(self) -> list[Packet]:
        """What comes by the next moment, from any link."""
        with self._lock:
            if self._closed:
                return []
            for link in self._links:
                link.start()
            there = {link.fileno(): link for link in self._links if link.runs}
            if there:
                ready = wait(list(there), _WAKE_S)
                # An app that doesn't read for a while lets no child fall silent: what it said is still to be read.
                for link in (link for number, link in there.items() if number not in ready):
                    link.check()
                return [packet for number, link in there.items() if number in ready for packet in link.receive()]
        time.sleep(_WAKE_S)
        return []

    def _connect(self, remedy: str) -> None:
        while missing := [link for link in self._links if link.sensor is None]:
            self._early += self._receive()
            if lost := [link for link in missing if not link.runs]:
                what, its_remedy = lost[0].trouble
                raise SourceError(f"{self._name}: {what}; {its_remedy or remedy}")

    def _check_streams(self) -> tuple[int, int]:
        sensors = [link.sensor for link in self._links if link.sensor is not None]
        for kind in ("events", "frames"):
            if not any(getattr(sensor, f"has_{kind}") for sensor in sensors):
                raise SourceError(f"{self._name}: has no {kind}; use a camera that gives both (a DAVIS)")
        if len({sensor.size for sensor in sensors}) > 1:
            sizes = " and ".join(f"{width} x {height}" for width, height in (sensor.size for sensor in sensors))
            raise SourceError(f"{self._name}: its streams are of {sizes} pixels; both must come from one sensor")
        return sensors[0].size

    def _check_sensor(self) -> None:
        for link in self._links:
            if link.sensor is not None and link.sensor.size != self.sensor:
                width, height = link.sensor.size
                raise SourceError(f"{link.name}: another camera came back, of {width} x {height} pixels; open it anew")


def open_camera(serial_number: str | None = None) -> LiveCamera:
    """One of iniVation's cameras on USB; None for the only one."""
    return LiveCamera(
        "camera",
        [["camera"] if serial_number is None else ["camera", serial_number]],
        "connect one of iniVation's (a DAVIS346), close other programs that use it, and on Linux let this user read "
        "it: install iniVation's udev rules (65-inivation.rules), then plug it in again",
    )


def open_network(address: str) -> LiveCamera:
    """The streams of dv-processing's NetworkWriter, or of DV's network modules: one for events, one for frames."""
    match = _ADDRESS.fullmatch(address)
    if match is None or any(not 0 < int(match[port]) < 65536 for port in ("events", "frames")):
        raise SourceError(f"{address}: not tcp://HOST:PORT,PORT, with the port of the events and that of the frames")
    readers = [[match["host"], match["events"]], [match["host"], match["frames"]]]
    return LiveCamera(address, readers, "check host and ports, and that dv-processing (2.x) sends there")
