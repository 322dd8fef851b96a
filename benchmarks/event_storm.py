"""An event storm through a live stream: 20 million events a second for 5 s, between calm before and after.

    python benchmarks/event_storm.py eye.canthus

A thread plays a camera of 346x260 pixels in real time: packets of events every 10 ms, frames 30 times a second. Told
are, for each part: the frames, those without an answer, the longest time that a push took, latencies and memory.
"""

import argparse
import logging
import resource
import time
from pathlib import Path

import numpy as np

import canthus

SENSOR, FRAME_US, PACKET_US = (346, 260), 33_333, 10_000
PARTS = (("calm", 1e6, 5.0), ("storm", 20e6, 5.0), ("after", 1e6, 25.0))
"""Name, events per second, seconds."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", help="a .canthus file")
    arguments = parser.parse_args()
    logging.disable()
    answers = {}
    live = canthus.LiveStream(
        canthus.load(arguments.bundle), SENSOR, on_expression=lambda e: answers.__setitem__(e.time_us, e)
    )
    with live:
        camera = Camera(live)
        reports = [camera.play(per_second, seconds) for _, per_second, seconds in PARTS]
        live.drain(5)
        health = live.health
    print(
        f"{'':8}{'frames':>7}{'missed':>7}{'longest push, its own work':>28}{'p50':>9}{'p99':>9}"
        f"{'memory begin, most, end':>28}"
    )
    for (name, _, _), report in zip(PARTS, reports, strict=True):
        frames = [t for t in report.frames if t >= FRAME_US * 12]  # the first 0.4 s have no answer
        missed = [t for t in frames if t not in answers]
        p50, p99 = np.percentile([answers[t].latency_us / 1000 for t in frames if t in answers], [50, 99])
        memory = "  ".join(f"{m:.0f}" for m in (report.memory[0], max(report.memory), report.memory[-1]))
        longest, own = (1000 * max(push) for push in zip(*report.pushes, strict=True))
        print(
            f"{name:8}{len(frames):>7}{len(missed):>7}{longest:>12.1f} ms{own:>10.1f} ms"
            f"{p50:>6.1f} ms{p99:>6.1f} ms{memory:>25} MB"
        )
    answered = [i for i, t in enumerate(reports[2].frames) if t in answers]
    first = answers[reports[2].frames[answered[0]]]
    print(f"after the storm, frame {answered[0] + 1} is the first with an answer; missing in it: {first.missing}")
    print(f"frames {health.frames.ended}, events {health.events.ended}")
    print(f"books balance: {health.frames.balanced and health.packets.balanced and health.events.balanced}")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


class Report:
    """What a part of the play measured."""

    def __init__(self) -> None:
        self.frames: list[int] = []
        self.pushes: list[tuple[float, float]] = []  # seconds in all, and of the processor
        self.memory: list[float] = []


class Camera:
    """Pushes in real time; its pixels were drawn before, so that they cost nothing."""

    def __init__(self, live: canthus.LiveStream) -> None:
        random = np.random.default_rng(0)
        most = int(20e6 * PACKET_US / 1e6)
        self._live = live
        self._x, self._y = (random.integers(0, size, 2 * most, np.int16) for size in SENSOR)
        self._p = random.integers(0, 2, 2 * most).astype(bool)
        self._images = random.integers(0, 256, (7, *SENSOR[::-1])).astype(np.uint8)
        self._begin = time.monotonic()
        self._t = self._next_frame = 0

    def play(self, per_second: float, seconds: float) -> Report:
        report = Report()
        count = int(per_second * PACKET_US / 1e6)
        times = np.linspace(0, PACKET_US - 1, count).astype(np.int64)
        end = self._t + int(seconds * 1e6)
        while self._t < end:
            place = self._t // PACKET_US * 7919 % count
            pixels = (array[place : place + count] for array in (self._x, self._y, self._p))
            packet = (times + self._t, *pixels)
            self._t += PACKET_US
            time.sleep(max(0.0, self._begin + self._t / 1e6 - time.monotonic()))
            self._time(report, self._live.push_events, *packet)
            while self._next_frame < self._t:
                report.frames.append(self._next_frame)
                self._time(report, self._live.push_frame, self._images[len(report.frames) % 7], self._next_frame)
                self._next_frame += FRAME_US
            if self._t % 100_000 == 0:
                report.memory.append(resident_mb())
        return report

    def _time(self, report: Report, push, *arguments) -> None:
        begin, own = time.perf_counter(), time.thread_time()
        push(*arguments)
        report.pushes.append((time.perf_counter() - begin, time.thread_time() - own))


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


if __name__ == "__main__":
    main()
