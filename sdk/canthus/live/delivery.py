"""Answers on their way to the app: by callback, by iteration, or by asyncio."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import Generic, TypeVar

from canthus.errors import LiveError
from canthus.live.inbox import logger

UNREAD = 64

Thing = TypeVar("Thing")


class Delivery(Generic[Thing]):
    """Answers, or episodes, that wait to be read, UNREAD of them at most; each goes to one reader.

    With a callback, they go there instead, on the worker's thread.
    """

    def __init__(
        self, callback: Callable[[Thing], None] | None, name: str, lost: Callable[[], None] = lambda: None
    ) -> None:
        """
        Args:
            name: the callback's, for the log.
            lost: called when one that nobody read has made room for a newer one.
        """
        self._callback, self._name = callback, name
        self._lost = lost
        self.callback_errors = 0
        self._ready = threading.Condition()
        self._answers: deque[Thing] = deque()
        self._closed = False
        self._failure: BaseException | None = None
        self._sleepers: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    def give(self, thing: Thing) -> None:
        """One more answer. An Exception of the callback's is counted; SystemExit and its like get through."""
        if self._callback is not None:
            try:
                self._callback(thing)
            except Exception:
                self.callback_errors += 1
                if self.callback_errors == 1:
                    logger.exception("%s raised; counted in `health` from now on, not told again", self._name)
            return
        with self._ready:
            self._answers.append(thing)
            unread = len(self._answers) > UNREAD
            if unread:
                self._answers.popleft()
            self._ready.notify()
            self._wake()
        if unread:
            self._lost()

    def __iter__(self) -> Iterator[Thing]:
        while (thing := self.take()) is not None:
            yield thing
        self.check()

    async def __aiter__(self) -> AsyncIterator[Thing]:
        while (thing := await self.take_async()) is not None:
            yield thing
        self.check()

    def take(self, timeout: float | None = None) -> Thing | None:
        """The next answer; None when the stream is closed and all are read, or after `timeout` seconds."""
        with self._ready:
            self._ready.wait_for(lambda: self._answers or self._closed, timeout)
            return self._answers.popleft() if self._answers else None

    async def take_async(self) -> Thing | None:
        """As `take`, for the running event loop."""
        sleeper = asyncio.get_running_loop(), asyncio.Event()
        while True:
            with self._ready:
                if self._answers:
                    return self._answers.popleft()
                if self._closed:
                    return None
                sleeper[1].clear()
                self._sleepers.add(sleeper)
            try:
                await sleeper[1].wait()
            finally:
                with self._ready:
                    self._sleepers.discard(sleeper)

    def fail(self, error: BaseException) -> None:
        """The stream ends by itself, for an error that nobody expects."""
        self._failure = error
        logger.error("%s", self.why_ended, exc_info=error)

    @property
    def why_ended(self) -> str | None:
        """In words; None if it didn't end by itself."""
        if self._failure is None:
            return None
        return f"the stream ended, since a callback or the engine raised {self._failure!r}"

    def check(self) -> None:
        """
        Raises:
            LiveError: the stream ended by itself.
        """
        if self._failure is not None:
            raise LiveError(f"{self.why_ended}; make a new one to go on") from self._failure

    def close(self) -> None:
        """No more will come: readers end once they have read the rest."""
        with self._ready:
            self._closed = True
            self._ready.notify_all()
            self._wake()

    def _wake(self) -> None:
        for loop, event in self._sleepers:
            with suppress(RuntimeError):  # that loop was closed
                loop.call_soon_threadsafe(event.set)
