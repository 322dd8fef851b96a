"""The stream over a live camera: push and go on; answers come when they come."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from canthus.engine import Engine
from canthus.episodes import Episode
from canthus.errors import LiveError
from canthus.events import Events
from canthus.expression import Expression
from canthus.live.answering import Answering
from canthus.live.delivery import Delivery
from canthus.live.health import Health
from canthus.live.inbox import Inbox
from canthus.sources import Frame, Packet
from canthus.stream import Stream
from canthus.view import View


class LiveStream:
    """Reads expressions from one sensor on a thread of its own.

    Pushing copies and returns at once, from any thread; nothing that a sensor sends raises. What became of it is in
    `health`, and is logged once for each kind, by the logger `canthus.live`. The newest frame wins: where the
    engine is too slow, older frames are left out. Answers come to `on_expression`, on the worker's thread, or are
    read by `for expression in live` or `async for expression in live`, until `close`.

        with canthus.LiveStream(engine, sensor=(346, 260), on_expression=show) as live:
            while camera.is_running():
                live.push_events(t, x, y, p)
                live.push_frame(image, t)

    Args:
        engine, sensor, view: as for `Stream`.
        on_expression: called with each answer.
        on_episode: called with each episode, when it begins and again when it has ended; without it they are read
            from `episodes`.
        steady: as for `Stream`.
        deadline_us: an answer that comes later after its frame is dropped.
        wait_us: how long a frame may wait for the events up to its time.
        separate_clocks: events and frames come from two sensors, each with its own clock; the offset between them is
            estimated from when they arrive. Expressions have the frames' times.
        nice: the worker's niceness, -20 to 19; below the process's own it needs a privilege.
        cpus: the cores that the worker may run on. The engine's further threads are not bound.

    Raises:
        FrameError, ViewError: as `Stream`.
        LiveError: the system doesn't grant `nice` or `cpus`; from all methods but `close`, if the process was forked
            since the stream was made; from iteration, if the stream ended by itself, as `health.ended` tells.
    """

    def __init__(
        self,
        engine: Engine,
        sensor: tuple[int, int] = (346, 260),
        view: View | None = None,
        *,
        on_expression: Callable[[Expression], None] | None = None,
        on_episode: Callable[[Episode], None] | None = None,
        steady: bool = True,
        deadline_us: int = 100_000,
        wait_us: int = 10_000,
        separate_clocks: bool = False,
        nice: int | None = None,
        cpus: Iterable[int] | None = None,
    ) -> None:
        self._process = os.getpid()
        self._inbox = Inbox()
        self._delivery = Delivery(on_expression, "on_expression", self._inbox.unread)
        self._episodes = Delivery(on_episode, "on_episode")
        self._answering = Answering(
            self._inbox,
            lambda: Stream(engine, sensor, view, steady=steady),
            self._delivery.give,
            self._episodes.give,
            time.monotonic_ns,
            deadline_us=deadline_us,
            wait_us=wait_us,
            separate_clocks=separate_clocks,
        )
        # The worker holds what it works with, not `self`: a stream that nobody holds any more is closed.
        worker = _Worker(self._inbox, self._answering, (self._delivery, self._episodes))
        self._close = weakref.finalize(self, worker.stop)
        worker.start()
        try:
            worker.favour(nice, None if cpus is None else set(cpus))
        except LiveError:
            self.close()
            raise

    def push_events(self, t: Any, x: Any = None, y: Any = None, p: Any = None) -> None:
        """Give a copy of events, as in `Stream.push_events`."""
        given = (t,) if x is None and y is None and p is None else (t, x, y, p)
        self._check_process()
        self._inbox.put_events(given, time.monotonic_ns())

    def push_frame(self, image: NDArray[np.uint8], t: int) -> None:
        """Give a copy of a frame, as in `Stream.push_frame`."""
        self._check_process()
        self._inbox.put_frame(image, None, t, time.monotonic_ns())

    def push_images(self, frame: NDArray[np.uint8], event: NDArray[np.uint8], t: int) -> None:
        """Give copies of a frame and its event image, as in `Stream.push_images`."""
        self._check_process()
        self._inbox.put_frame(frame, event, t, time.monotonic_ns())

    def push(self, packet: Packet) -> None:
        """Give a copy of what a source gave."""
        if isinstance(packet, Events):
            self.push_events(*packet)
        elif isinstance(packet, Frame):
            self.push_frame(*packet)
        else:
            self.push_images(*packet)

    @property
    def health(self) -> Health:
        """How the stream is doing, now."""
        self._check_process()
        errors = self._delivery.callback_errors + self._episodes.callback_errors
        return self._answering.health(errors, self._delivery.why_ended)

    @property
    def episodes(self) -> Delivery[Episode]:
        """Episodes, to be read by `for` or `async for` beside the answers, until `close`: each when it begins and
        again when it has ended. Of those that nobody reads the newest are kept."""
        self._check_process()
        return self._episodes

    @property
    def why_no_answers(self) -> str | None:
        """What is wrong with the frames' times, where there are no answers for it; None if nothing is."""
        return self._answering.why_no_answers

    @property
    def costs_us(self) -> dict[str, int]:
        """What each stage of the newest answer took, in microseconds: accumulate, resize, react, prime."""
        return dict(self._answering.costs_us)

    def drain(self, timeout: float | None = None) -> bool:
        """Wait until all that was pushed is dealt with, at most `timeout` seconds; whether it is."""
        self._check_process()
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            with self._inbox.arrived:
                if not self._inbox.frames.ledger().waiting and not self._inbox.packets.ledger().waiting:
                    return True
            if end is not None and time.monotonic() > end:
                return False
            time.sleep(0.001)

    def close(self) -> None:
        """Stop, from any state and any thread. What is queued ends as `stopped`; readers read what is answered."""
        self._close()

    def _check_process(self) -> None:
        if os.getpid() != self._process:  # its lock may be held for ever, by a thread that a fork left behind
            raise LiveError(
                "this stream was made before the process was forked, and its thread stayed behind: load the engine and "
                "make the stream in the process that uses them (or start processes by spawn)"
            )

    def __enter__(self) -> LiveStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Expression]:
        self._check_process()
        yield from self._delivery

    async def __aiter__(self) -> AsyncIterator[Expression]:
        self._check_process()
        async for expression in self._delivery:
            yield expression


class _Worker(threading.Thread):
    """Steps whenever there is something to do."""

    def __init__(self, inbox: Inbox, answering: Answering, deliveries: tuple[Delivery[Any], ...]) -> None:
        super().__init__(name="canthus-live", daemon=True)
        self._process = os.getpid()
        self._inbox = inbox
        self._answering = answering
        self._deliveries = deliveries

    def run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # such as SystemExit, by which an app's callback means the process
            for delivery in self._deliveries:
                delivery.fail(error)
        self._inbox.close()
        self._answering.stop()
        for delivery in self._deliveries:
            delivery.close()

    def _work(self) -> None:
        due: int | None = 0
        while True:
            with self._inbox.arrived:
                while not self._inbox.closed and not self._inbox.depth[0] + self._inbox.depth[1]:
                    left = None if due is None else (due - time.monotonic_ns()) / 1e9
                    if left is not None and left <= 0:
                        break
                    self._inbox.arrived.wait(left)
                if self._inbox.closed:
                    return
            due = self._answering.step()

    def stop(self) -> None:
        if os.getpid() != self._process:  # it runs in the process that this one was forked from, and goes on there
            return
        self._inbox.close()
        if threading.current_thread() is not self:  # a callback may close its own stream
            self.join()

    def favour(self, nice: int | None, cpus: set[int] | None) -> None:
        """Set the thread's priority and cores, as Linux has them, thread by thread."""
        thread = self.native_id
        assert thread is not None
        try:
            if nice is not None:
                os.setpriority(os.PRIO_PROCESS, thread, nice)
        except OSError as error:
            raise LiveError(
                f"niceness {nice}: the system doesn't grant it ({error.strerror}); give one that is not below "
                "the process's own, or the privilege (CAP_SYS_NICE, or `nice` in /etc/security/limits.conf)"
            ) from error
        try:
            if cpus is not None:
                os.sched_setaffinity(thread, cpus)
        except (OSError, ValueError, AttributeError) as error:
            raise LiveError(
                f"cores {sorted(cpus or ())}: not to be had here; this process may run on "
                f"{sorted(getattr(os, 'sched_getaffinity', lambda _: ())(0))}"
            ) from error
