"""A headset app: its own loop owns the camera and draws the scene; canthus reads the wearer's expression beside it.

    python examples/headset.py eye.canthus recording.aedat4 [eye.yaml]

The recording plays the camera here, in real time; an app pushes its own buffers instead. Nothing that is pushed is
waited for, and nothing that the camera sends can raise here. eye.yaml says how the camera is mounted, as `canthus
monitor --setup` writes it.
"""

import sys
import time

import canthus


class Camera:
    """Stands for the headset's driver: hands out what has happened since it was asked before."""

    def __init__(self, recording: str) -> None:
        self._source = canthus.open(recording)
        self._packets = iter(self._source)
        self._next = next(self._packets, None)
        self._begin = time.monotonic() - time_of(self._next) / 1e6
        self.sensor = self._source.sensor

    def poll(self):
        while self._next is not None and time_of(self._next) / 1e6 <= time.monotonic() - self._begin:
            yield self._next
            self._next = next(self._packets, None)

    def is_running(self) -> bool:
        return self._next is not None


def time_of(packet) -> int:
    return int(packet.t[-1]) if isinstance(packet, canthus.Events) else packet.time_us


class Scene:
    """Stands for what the app draws; `mood` is set by canthus's thread, so it is one assignment."""

    def __init__(self) -> None:
        self.mood: canthus.Expression | None = None

    def show(self, expression: canthus.Expression) -> None:
        self.mood = expression

    def draw(self) -> None:
        if self.mood is not None:
            print(f"\r{self.mood.steady:<10} {self.mood.confidence:4.0%}", end="", flush=True)


def main(bundle: str, recording: str, mounting: str | None = None) -> None:
    engine = canthus.load(bundle)
    view = canthus.View() if mounting is None else canthus.View.read(mounting)
    camera, scene = Camera(recording), Scene()
    with canthus.LiveStream(engine, camera.sensor, view, on_expression=scene.show) as live:
        while camera.is_running():
            for packet in camera.poll():
                if isinstance(packet, canthus.Events):
                    live.push_events(packet.t, packet.x, packet.y, packet.p)
                else:
                    live.push_frame(packet.image, packet.time_us)
            scene.draw()
            time.sleep(1 / 90)  # a display's refresh
        live.drain(timeout=1)
    health = live.health
    print(f"\n{health.frames.came} frames: {health.frames.ended}")


if __name__ == "__main__":
    main(*sys.argv[1:])
