"""What a run costs the device: memory, and what the platform tells, once a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from canthus.device.readings import cpu_megahertz, gpu_megahertz, memory_bytes, power_watts, temperature_celsius

SETTLED_SECONDS = 60
"""Until then memory may grow: buffers are got, caches filled."""

MEMORY, OWN_MEMORY = "resident_memory_bytes", "own_memory_bytes"

_SHOWN = 200  # points of a curve
_STEADY = 10  # readings whose median says how much memory there is: a single one may catch a buffer


class Course(NamedTuple):
    """One reading over the run: each point is the mean over its part of the time."""

    mean: float
    low: float
    high: float
    seconds: list[float]
    values: list[float]


class Watch:
    """Reads once a second, on a thread of its own, as long as it is entered.

    Args:
        seconds: the run will take; room is made for so many readings at once, so that none is needed later.
        on_second: called after each reading, with the seconds since the start.
    """

    def __init__(self, seconds: float, on_second: Callable[[float], None] | None) -> None:
        self._names = list(read())
        self._rows: NDArray[np.float64] = np.full((int(seconds) + 60, 1 + len(self._names)), np.nan)
        self._count = 0
        self._on_second = on_second
        self._stop = threading.Event()
        self._start = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="canthus-bench-watch", daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def courses(self) -> dict[str, Course]:
        """Of every reading that the platform has."""
        found = {}
        for column, name in enumerate(self._names, 1):
            rows = self._rows[: self._count, [0, column]]
            rows = rows[np.isfinite(rows[:, 1])]  # a part that sleeps may not tell for a while
            if len(rows):
                shown = [part.mean(axis=0) for part in np.array_split(rows, min(_SHOWN, len(rows)))]
                seconds, means = np.transpose(shown).round(3).tolist()
                values = rows[:, 1]
                found[name] = Course(float(values.mean()), float(values.min()), float(values.max()), seconds, means)
        return found

    def memory_growth(self) -> float | None:
        """By how many bytes the process's own memory grew after the first minute; None as of `growth`."""
        if OWN_MEMORY not in self._names:
            return None
        rows = self._rows[: self._count]
        return growth(rows[:, 0], rows[:, 1 + self._names.index(OWN_MEMORY)])

    def _run(self) -> None:
        while self._count < len(self._rows):
            elapsed = time.monotonic() - self._start
            readings = read()
            self._rows[self._count] = [elapsed, *(readings.get(name, np.nan) for name in self._names)]
            self._count += 1
            if self._on_second:
                self._on_second(elapsed)
            if self._stop.wait(self._start + self._count - time.monotonic()):
                return


def growth(seconds: NDArray[np.float64], values: NDArray[np.float64]) -> float | None:
    """By how much readings at these seconds grew from the end of the first minute to the end.

    None if there are too few, since the run ended too soon or the platform doesn't tell.
    """
    settled = values[(seconds >= SETTLED_SECONDS) & np.isfinite(values)]
    if len(settled) < 2 * _STEADY:
        return None
    return float(np.median(settled[-_STEADY:]) - np.median(settled[:_STEADY]))


def read() -> dict[str, float]:
    """What the platform tells now, by name and unit."""
    clocks = cpu_megahertz()
    found: dict[str, float | None] = {
        **{f"{kind}_memory_bytes": value for kind, value in memory_bytes().items()},
        "temperature_celsius": temperature_celsius(),
        "cpu_megahertz": sum(clocks) / len(clocks) if clocks else None,
        "gpu_megahertz": gpu_megahertz(),
        **{f"{rail}_watts": watts for rail, watts in power_watts().items()},
    }
    return {name: value for name, value in found.items() if value is not None}
