"""What load a measurement puts on the stream, and for how long."""

from __future__ import annotations

import re
from dataclasses import dataclass

from canthus.errors import BenchError
from canthus.sources.faulty import FAULTS

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True)
class Settings:
    """A load that is the same whenever it is asked for.

    Attributes:
        frames_per_second: of the made-up content; a recording has its own.
        events_per_second: likewise.
        seconds: how long latencies are measured, after a second to warm up.
        speed: times real time.
        flat_out: each frame as soon as the one before has its answer, instead of when it is due.
        soak: watch memory and drift, too.
        deadline_us: an answer that comes later than this is a miss.
        threads: that the engine may use.
        seed: of the made-up content, and of the faults.
        faults: kinds that are put in, names of `canthus.sources.faulty.FAULTS`.

    Raises:
        BenchError: a value that makes no sense.
    """

    frames_per_second: float = 30.0
    events_per_second: float = 1e6
    seconds: float = 60.0
    speed: float = 1.0
    flat_out: bool = False
    soak: bool = False
    deadline_us: int = 100_000
    threads: int = 2
    seed: int = 0
    faults: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for value, name, low, high in (
            (self.frames_per_second, "frames per second", 1, 1000),
            (self.events_per_second, "events per second", 0, 5e7),
            (self.seconds, "seconds to measure", 0.1, 30 * 86400),
            (self.speed, "speed", 0.1, 100),
            (self.deadline_us / 1e6, "seconds until the deadline", 0.001, 60),
        ):
            if not low <= value <= high:
                raise BenchError(f"{value:g} {name}: give {low:g} to {high:g}")
        if self.flat_out and self.speed != 1:
            raise BenchError("flat out has no pace that a speed could change; leave one of them away")
        if unknown := [kind for kind in self.faults if kind not in FAULTS]:
            raise BenchError(f"no fault is called {unknown[0]!r}; there are {', '.join(FAULTS)}")
        if self.soak and self.faults:
            raise BenchError("a soak watches a sensor that works; leave faults away")
        if self.soak and self.seconds < SOAK_SECONDS:
            raise BenchError(
                f"a soak of {self.seconds:g} s: memory is watched from the first minute on; give at least "
                f"{SOAK_SECONDS:g} s"
            )

    @property
    def mode(self) -> str:
        """How frames are pushed."""
        return "flat out" if self.flat_out else "paced"


SOAK_SECONDS = 120.0
"""The shortest soak."""


def parse_duration(text: str) -> float:
    """Seconds, from text such as `50ms`, `90s`, `10m`, `1h` or a number of seconds.

    Raises:
        BenchError: it is no such text.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h)?", text.strip())
    if not found:
        raise BenchError(f"{text!r} is no duration; give one as 50ms, 90s, 10m or 1h")
    return float(found[1]) * _UNITS[found[2] or "s"]


def parse_percent(text: str) -> float:
    """A share, from text such as `10%` or `10`.

    Raises:
        BenchError: it is no such text.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*%?", text.strip())
    if not found:
        raise BenchError(f"{text!r} is no percentage; give one as 10%")
    return float(found[1]) / 100
