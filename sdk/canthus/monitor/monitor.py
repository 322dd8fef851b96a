"""A source played into a live stream, and all that there is to be seen of it."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict
from types import TracebackType
from typing import Any

from canthus.engine import Engine
from canthus.episodes import Episode
from canthus.errors import Error
from canthus.expression import Expression
from canthus.live.feed import feed
from canthus.live.stream import LiveStream
from canthus.monitor.pictures import Pictures
from canthus.sources import Packet, Source

_PULSE_SECONDS = 0.08
_HEALTH_SECONDS = 0.5
_SHOWN_SECONDS = 20
_KEPT_ANSWERS = 100 * _SHOWN_SECONDS  # of the quickest cameras; a page that comes late sees what it missed
_KEPT_EPISODES = 8
_CLOSE_SECONDS = 1.0


class Monitor:
    """Plays a source into a `LiveStream` from when somebody first looks, or at once if the source is a camera.

    Args:
        engine: a loaded bundle.
        source: an open recording or camera; the monitor doesn't close it.
        title: what the page says it shows.
    """

    def __init__(self, engine: Engine, source: Source, title: str) -> None:
        self.over = threading.Event()
        """Set once the source has ended; `failure` is known then."""
        self.failure: Error | None = None
        self._source = source
        self._about = {
            "title": title,
            "labels": engine.labels,
            "sensor": source.sensor,
            "image_size": engine.image_size,
            "roi": source.view.region(source.sensor, engine.image_size),
            "rotate": source.view.rotate,
            "mirror": source.view.mirror,
            "window_us": engine.window_us,
            "shown_seconds": _SHOWN_SECONDS,
            "recorded": not source.is_live,
        }
        self._pictures = Pictures(engine, source.sensor)
        self._began = time.monotonic()
        self._looked_at, self._stop = threading.Event(), threading.Event()
        self._lock = threading.Lock()
        self._answers: deque[dict[str, Any]] = deque(maxlen=_KEPT_ANSWERS)
        self._answered = 0
        self._episodes: deque[Episode] = deque(maxlen=_KEPT_EPISODES)
        self._ending: dict[str, Any] | None = None
        self._live = _ShownStream(engine, source, self._take, self._note, self._pictures)
        self._feeding = threading.Thread(target=self._play, name="canthus-monitor-feed", daemon=True)
        self._feeding.start()

    def updates(self) -> Iterator[dict[str, Any]]:
        """What a page is to be told, for JSON, until the monitor is closed.

        First what is shown at all; then again and again what is new since the last one that was taken. Who is slow
        to take them is told less often, but of the newest.
        """
        self._looked_at.set()
        yield {"about": self._about}
        answered, picture, health_due = 0, None, 0.0
        while not self._stop.is_set():
            is_due = time.monotonic() >= health_due
            if is_due:
                health_due = time.monotonic() + _HEALTH_SECONDS
            update = self._ending or self._standing(with_health=is_due)
            answers, answered = self._answers_since(answered)
            update = update | {"answers": answers}
            newest = self._pictures.newest()
            if newest is not picture:
                picture = newest
                update["picture"] = newest
            yield update
            self._stop.wait(_PULSE_SECONDS)

    def close(self) -> None:
        """Stop playing, and let every reader of `updates` end."""
        self._stop.set()
        self._looked_at.set()
        self._feeding.join(_CLOSE_SECONDS)  # reading a damaged recording may hang
        self._live.close()

    def __enter__(self) -> Monitor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _play(self) -> None:
        if not self._source.is_live:
            self._looked_at.wait()
        state = "failed"
        try:
            feed(self._source, self._live, self._stop)
            state = "ended"
        except Error as error:
            self.failure = error
        finally:
            self._live.drain(_CLOSE_SECONDS)
            self._ending = self._standing(with_health=True) | {"state": state, "message": str(self.failure or "")}
            self.over.set()

    def _standing(self, *, with_health: bool) -> dict[str, Any]:
        standing = {"now": self._seconds(), "state": "playing", "message": "", "episodes": self._newest_episodes()}
        if with_health:
            standing |= {"health": asdict(self._live.health), "costs_us": self._live.costs_us}
        return standing

    def _take(self, expression: Expression) -> None:
        answer = {
            "at": self._seconds(),
            "time_us": expression.time_us,
            "steady": None if expression.unsure else expression.labels.index(str(expression.steady)),
            "confidence": _finite(expression.confidence or 0.0),
            "unsure": expression.unsure,
            "label": expression.labels.index(expression.label),
            "probabilities": [_finite(p) for p in expression.probabilities.tolist()],
            "latency_us": expression.latency_us,
            "missing": expression.missing,
        }
        with self._lock:
            self._answers.append(answer)
            self._answered += 1

    def _note(self, episode: Episode) -> None:
        with self._lock:
            if self._episodes and self._episodes[0].onset_us == episode.onset_us:
                self._episodes.popleft()  # it has been told when it began
            self._episodes.appendleft(episode)

    def _newest_episodes(self) -> list[dict[str, Any]]:
        with self._lock:
            return [asdict(one) | {"peak": _finite(one.peak), "mean": _finite(one.mean)} for one in self._episodes]

    def _answers_since(self, answered: int) -> tuple[list[dict[str, Any]], int]:
        with self._lock:
            new = min(self._answered - answered, len(self._answers))
            return list(self._answers)[len(self._answers) - new :], self._answered

    def _seconds(self) -> float:
        return round(time.monotonic() - self._began, 4)


class _ShownStream(LiveStream):
    """A live stream whose newest images can be looked at."""

    def __init__(
        self,
        engine: Engine,
        source: Source,
        on_expression: Callable[[Expression], None],
        on_episode: Callable[[Episode], None],
        pictures: Pictures,
    ) -> None:
        super().__init__(engine, source.sensor, source.view, on_expression=on_expression, on_episode=on_episode)
        self._pictures = pictures

    def push(self, packet: Packet) -> None:
        super().push(packet)
        self._pictures.take(packet)


def _finite(probability: float) -> float | None:
    """None for what JSON has no word for."""
    return round(probability, 4) if math.isfinite(probability) else None
